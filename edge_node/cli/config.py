"""stub"""

COMMANDS = ()

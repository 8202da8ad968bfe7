"""What must reach the outside: put with what caused it, delivered in order, kept until somebody is done with it."""

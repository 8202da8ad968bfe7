"""The pure heart of the line library: values and time in, verdicts and decisions out.

Read in this order: `model` (the words), `window` (samples), `judge` (samples to verdicts), `flap` (what falls cost),
`decide` (verdicts to a mode and actions), `plan` (a decision to changes of routes), `delta` (did a link change
matter?), `reasons` (every code with its sentence, and the state diagram). The theory stands in `failover/README.md`.

Times are boot time in seconds and always an argument. Nothing here reads, waits, acts or writes a log.
"""

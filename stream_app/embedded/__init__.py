"""An embedded broker and store for trying out: programs in wheels, started on this machine's loopback alone."""


def missing() -> str:
    """Return what is missing to start the embedded broker and store here, and what to do; empty if nothing is."""
    from stream_app.embedded import broker, store  # noqa: PLC0415  (who only imports the package needs neither)
    from stream_app.embedded.server import MissingProgramError  # noqa: PLC0415  (as above)

    found: list[str] = []
    for program in (broker.program, store.program):
        try:
            program()
        except MissingProgramError as error:
            found += error.found
    return str(MissingProgramError(*found)) if found else ""

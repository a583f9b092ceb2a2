"""The exception tree of Foretell: what stops a command, and with which exit code.

    ForetellError            1   anything that the operator must act on
    ├── InputError           3   a file, folder or event log that cannot be used
    │   └── SpecError        3   a spec that cannot be parsed or contradicts itself
    ├── BundleError          4   a bundle that is incomplete, changed, or of another layout
    ├── TrainingError        5   data that nothing can be learned from, or a network that cannot be exported exactly
    └── OutputError          6   a place that cannot be written to (disk full, no permission)

Exit code 2 is argparse's (wrong usage), 130 is an interrupt. A record that is refused is no exception: it is a
rejection (``schemas.accepted``) and ends in the dead letters.
"""

EXIT_OK = 0
EXIT_INTERRUPTED = 130


class ForetellError(Exception):
    """Something that the operator must act on; the message says expected, found, where and what to do."""

    exit_code = 1


class InputError(ForetellError):
    """A file, folder or event log that cannot be used as it is."""

    exit_code = 3


class SpecError(InputError):
    """A spec that cannot be parsed or that contradicts itself."""


class BundleError(ForetellError):
    """A bundle that is incomplete, was changed, or has a layout that this version cannot produce."""

    exit_code = 4


class TrainingError(ForetellError):
    """Data that nothing can be learned from, or a network whose export is not exact."""

    exit_code = 5


class OutputError(ForetellError):
    """A place that cannot be written to."""

    exit_code = 6

"""What several verbs take in the same way."""

import argparse
import math
from typing import Final

KAFKA: Final = ("kafka", "kafka_security", "kafka_sasl", "kafka_user", "kafka_ca", "kafka_cert", "kafka_key")
"""Settings that every verb which talks to Kafka takes as flags."""


def count(text: str) -> int:
    """Return a whole number of at least 1."""
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        message = f"expected a whole number of at least 1, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def positive(text: str) -> float:
    """Return a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        message = f"expected a number above 0, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return number

"""Java and the jars of Apache Kafka: where they are, or what is missing."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LIBS: Final = "FORETELL_KAFKA_LIBS"
_LEAST_JAVA: Final = 17
_OPTIONS: Final = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # without the second compiler a start and a minute of tests take half the CPU time
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
)


def libs() -> Path:
    """Return the folder of Kafka's jars: ``$FORETELL_KAFKA_LIBS``, or where ``make kafka`` puts them."""
    return Path(os.environ.get(LIBS) or ROOT / ".cache" / "kafka")


def missing_kafka() -> str:
    """Return why no Kafka can be started, or an empty text."""
    if problem := _missing_java():
        return problem
    folder = libs()
    if not any(folder.glob("kafka_*.jar")):
        return f"no jars of Kafka in {folder}; fetch them with `make kafka`, or name their folder with {LIBS}"
    return ""


def command(main: str, *arguments: str | Path) -> list[str]:
    """Return the command that runs a class of Kafka, small and quick to start."""
    return ["java", *_OPTIONS, "-cp", f"{libs()}/*", main, *map(str, arguments)]


@cache
def _missing_java() -> str:
    install = f"install Java {_LEAST_JAVA} or later (Debian: default-jre-headless)"
    if not shutil.which("java"):
        return f"no java on the path; {install}"
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if not version or int(version[1]) < _LEAST_JAVA:
        return f"Java {version[1] if version else 'of an unknown version'} on the path; {install}"
    return ""

"""Certificates for servers on 127.0.0.1, made by the command openssl for one test run."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority that clients trust, and a server's certificate and key."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make an authority and a certificate for 127.0.0.1 and localhost in a new folder."""
        folder.mkdir(parents=True)
        made = cls(folder / "ca.pem", folder / "server.pem", folder / "server.key")
        ca_key = folder / "ca.key"
        _request(
            ["-subj", "/CN=tests", "-keyout", ca_key, "-out", made.ca],
            {"basicConstraints": "critical,CA:TRUE", "keyUsage": "critical,keyCertSign"},
        )
        _request(
            ["-subj", "/CN=localhost", "-keyout", made.key, "-out", made.certificate, "-CA", made.ca, "-CAkey", ca_key],
            {"basicConstraints": "critical,CA:FALSE", "subjectAltName": "IP:127.0.0.1,DNS:localhost"},
        )
        return made


def _request(arguments: list[str | Path], extensions: dict[str, str]) -> None:
    added = [part for name, value in extensions.items() for part in ("-addext", f"{name}={value}")]
    result = subprocess.run(
        ["openssl", "req", "-x509", *_KEY, *map(str, arguments), *added], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"openssl could not make a certificate:\n{result.stderr}"

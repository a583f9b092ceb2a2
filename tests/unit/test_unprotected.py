"""The command that runs ``foretell`` without a protection."""

import pytest

from stream_app.engine.session import Session
from stream_app.engine.work import PartitionWork
from tests.kit import unprotected
from tests.kit.unprotected import PROTECTIONS, without


def test_it_lists_what_can_be_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert unprotected.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(PROTECTIONS)
    assert all(line.endswith(".") for line in lines)


def test_it_runs_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        unprotected.main(["idle-probe,fingerprint", "--version"])
    assert (stopped.value.code, capsys.readouterr().out[:9]) == (0, "foretell ")


def test_a_protection_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert unprotected.main(["idle-probe,nothing", "worker"]) == 2
    assert "found nothing; there are marker-with-rows, " in capsys.readouterr().err


@pytest.mark.parametrize("name", PROTECTIONS)
def test_a_protection_is_off_within_the_context_and_on_again_behind_it(name: str) -> None:
    before = dict(vars(Session)), dict(vars(PartitionWork))
    with without(name):
        pass
    assert (dict(vars(Session)), dict(vars(PartitionWork))) == before

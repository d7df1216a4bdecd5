"""``--web``: the address that is told shows the recording, and nothing stays behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from telerig.teleop.view.sdk import address, listens

from .recorded import record

pytest.importorskip("rerun")
CALL = "import sys; from telerig.teleop.cli.main import main; main(sys.argv[1:])"


def test_the_address_says_where_the_data_are() -> None:
    told = parse_qs(urlsplit(address(8001, 8002)).query)
    assert told == {"url": ["rerun+http://127.0.0.1:8002/proxy"]}  # without, the page shows an empty viewer


@pytest.mark.realtime
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_recording_in_a_browser(tmp_path: Path, how: signal.Signals, at_once: bool) -> None:
    session = record(tmp_path / "session", seconds=0.2)
    (tmp_path / "tmp").mkdir()
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    call = [sys.executable, "-c", CALL, "view", str(session), "--web"]
    with subprocess.Popen(
        call, stderr=subprocess.PIPE, text=True, env=env | {"TMPDIR": str(tmp_path / "tmp")}
    ) as shown:
        assert shown.stderr is not None
        told = ""
        while "the view is at" not in told:
            told = shown.stderr.readline()
            assert told, "it ended without an address"
        found = re.search(r"http://\S+", told)
        assert found is not None
        page = urlsplit(found.group())
        data = urlsplit(parse_qs(page.query)["url"][0])
        assert page.port is not None
        assert data.port is not None
        if not at_once:  # at once: no moment between the start and the care for it
            with urlopen(found.group()) as answer:
                assert b"re_viewer" in answer.read()
            assert listens(data.port)
        shown.send_signal(how)
        assert shown.wait() == 0
    assert not listens(page.port)
    assert not listens(data.port)
    assert list((tmp_path / "tmp").iterdir()) == []

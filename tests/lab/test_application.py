"""An application that is asked through both lines: silent on one it accuses the line, silent on both itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge_node.config.render import toml
from tests.lab.topology import CLOUD_PREFIX, LINES, TARGETS, Laboratory
from tests.lab.watched import WatchedLines
from tests.support.waiting import until

PORT = 8090
APP = f"{TARGETS[0]}:{PORT}"
# Every second instead of every five: three without an answer are known after four seconds.
EVERY = "1s"


def configured(home: Path) -> None:
    document = {
        "node": {"id": "clinic-lab"},
        "lines": {"act": "enforce", "cloud_prefixes": [CLOUD_PREFIX]},
        "line": [
            {
                "name": line.name,
                "preferred": line.number,
                "interface": line.name,
                "address": f"{line.address}/30",
                "gateway": line.gateway,
                "target": [{"address": TARGETS[0]}, {"address": TARGETS[0], "kind": "http", "port": PORT, "path": "/",
                                                     "every": EVERY}],
            }
            for line in LINES
        ],
    }  # fmt: skip
    home.mkdir()
    text = "".join(f"{name} = {toml(value)}\n" for name, value in document.items())
    (home / "edge-node.toml").write_text(text, encoding="utf-8")


def drop_the_application(lab: Laboratory, line: str) -> None:
    lab.carrier(line).nft(
        f"table ip app {{ chain forward {{ type filter hook forward priority 0\n tcp dport {PORT} drop\n}}\n}}\n"
    )


def test_silent_on_one_line_and_then_on_both(lab: Laboratory, tmp_path: Path) -> None:
    home, served = tmp_path / "node", tmp_path / "served"
    served.mkdir()
    configured(home)
    lab.cloud.popen(
        sys.executable, "-m", "http.server", "--bind", TARGETS[0], str(PORT), stderr=subprocess.DEVNULL, cwd=served
    )
    watcher = WatchedLines(lab, home)
    try:
        watcher.start()
        watcher.until_up("telecom", "unicom")

        def app(line: str) -> dict[str, object]:
            return next(target for target in watcher.line(line)["targets"] if target["name"] == APP)

        until(lambda: all(app(line.name)["rtt_s"] for line in LINES))
        assert app("telecom")["role"] == "app" and app("telecom")["kind"] == "http"
        drop_the_application(lab, "telecom")
        until(lambda: watcher.line("telecom")["verdict"] == "degraded", within_s=15)
        assert watcher.line("telecom")["reason"] == {"code": "app-silent", "args": {"target": APP}}
        assert watcher.line("unicom")["verdict"] == "up" and watcher.state["troubles"] == []
        drop_the_application(lab, "unicom")
        until(lambda: [t["code"] for t in watcher.state["troubles"]] == ["app-trouble"], within_s=15)
        until(lambda: watcher.line("telecom")["verdict"] == "up", within_s=25)
        assert watcher.line("unicom")["verdict"] == "up", "nobody is charged any more"
        for line in LINES:
            lab.fault(line.name, "heal")
        until(lambda: watcher.state["troubles"] == [], within_s=10)
    except BaseException:
        print(watcher.log.read_text())
        raise
    finally:
        if watcher.process is not None:
            watcher.process.kill()
            watcher.process.wait()

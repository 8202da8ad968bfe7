"""Applications that are asked for diagnosis: whom their silence accuses, and that it never kills a line."""

from __future__ import annotations

from collections.abc import Mapping

from failover.core.judge import Evidence, Judgement, Watched, verdicts
from failover.core.model import LinePolicy, LinkState, Policy, Role, Verdict
from failover.core.window import Window

POLICY = Policy(lines=(LinePolicy(name="telecom", preferred=1), LinePolicy(name="unicom", preferred=2)))
LINK = LinkState(present=True, carrier=True, has_address=True, has_route=True)
APP = "10.100.0.10:443"


class Lines:
    """Two lines with one cloud target each, asked five times a second, and an application, asked every five seconds."""

    def __init__(self, *, apps: tuple[str, ...] = ("telecom", "unicom"), cloud: bool = True) -> None:
        self.now, self.judgement = 0.0, Judgement(health={})
        self.cloud = {line.name: Window(30.0) for line in POLICY.lines} if cloud else {}
        self.apps = {name: Window(30.0) for name in apps}
        self._next_app = 0.0

    def run(self, seconds: float, *, dead: tuple[str, ...] = (), mute: tuple[str, ...] = ()) -> Mapping[str, str]:
        until = self.now + seconds
        while self.now < until:
            for name, window in self.cloud.items():
                window.asked(self.now)
                if name not in dead:
                    window.answered(self.now, 0.01)
            if self.now >= self._next_app:
                self._next_app += 5.0
                for name, window in self.apps.items():
                    window.asked(self.now)
                    if name not in mute and name not in dead:
                        window.answered(self.now, 0.05)
            self.now = round(self.now + 0.2, 6)
            evidence = {
                line.name: Evidence(link=LINK, targets=tuple(self._targets(line.name))) for line in POLICY.lines
            }
            self.judgement = verdicts(self.judgement.health, evidence, self.now - 0.1, POLICY)
        return {name: f"{seen.verdict} {seen.reason.code}" for name, seen in self.judgement.health.items()}

    def _targets(self, name: str) -> list[Watched]:
        found = [Watched(target="10.100.0.1", window=self.cloud[name])] if name in self.cloud else []
        if name in self.apps:
            found.append(Watched(target=APP, window=self.apps[name], role=Role.APP, every_s=5.0))
        return found

    @property
    def troubles(self) -> list[tuple[str, dict[str, object]]]:
        return [(reason.code.value, dict(reason.args)) for reason in self.judgement.troubles]


def test_silent_on_one_line_and_heard_by_the_other_accuses_the_line() -> None:
    lines = Lines()
    lines.run(30)
    assert lines.run(10, mute=("telecom",))["telecom"] == "up answers", "two of them may be lost"
    said = lines.run(6, mute=("telecom",))
    assert said == {"telecom": "degraded app-silent", "unicom": "up answers"} and lines.troubles == []
    assert lines.judgement.health["telecom"].reason.args == {"target": APP}
    lines.run(60, mute=("telecom",))
    assert len(lines.judgement.health["telecom"].flap.falls) == 1, "it fell once"
    assert lines.run(25)["telecom"] == "up clean"


def test_silent_everywhere_accuses_the_application() -> None:
    lines = Lines()
    lines.run(30)
    said = lines.run(30, mute=("telecom", "unicom"))
    assert said == {"telecom": "up answers", "unicom": "up answers"}
    assert lines.troubles == [("app-trouble", {"target": APP, "lines": 2})]
    lines.run(6)
    assert lines.troubles == []


def test_one_that_never_answered_is_trouble_and_nobody_s_fault() -> None:
    lines = Lines()
    assert set(lines.run(30, mute=("telecom", "unicom")).values()) == {"up answers"}
    assert [code for code, _ in lines.troubles] == ["app-trouble"]


def test_asked_by_one_line_alone_it_accuses_no_line() -> None:
    lines = Lines(apps=("telecom",))
    lines.run(30)
    assert lines.run(30, mute=("telecom",))["telecom"] == "up answers"
    assert lines.troubles == [("app-trouble", {"target": APP, "lines": 1})]


def test_a_dead_line_is_dead_for_its_own_reason() -> None:
    lines = Lines()
    lines.run(30)
    assert lines.run(40, dead=("telecom",))["telecom"] == "down silent"
    assert lines.troubles == []
    said = lines.run(40, dead=("telecom",), mute=("unicom",))
    assert said["unicom"] == "up answers" and lines.troubles == [("app-trouble", {"target": APP, "lines": 1})]


def test_an_application_keeps_no_line_alive_and_kills_none() -> None:
    lines = Lines()
    lines.run(30)
    for _ in range(10):  # the application answers all the while
        for name in lines.cloud:
            lines.cloud[name].asked(lines.now)
        lines.apps["telecom"].asked(lines.now)
        lines.apps["telecom"].answered(lines.now, 0.01)
        lines.now += 0.2
    evidence = {line.name: Evidence(link=LINK, targets=tuple(lines._targets(line.name))) for line in POLICY.lines}
    health = verdicts(lines.judgement.health, evidence, lines.now, POLICY).health
    assert health["telecom"].verdict is Verdict.DOWN
    assert health["telecom"].reason.code == "silent", "nor does it say that the carrier lives"
    alone = Lines(cloud=False)
    assert set(alone.run(40, mute=("telecom",)).values()) == {"up link-only"}

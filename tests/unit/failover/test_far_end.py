"""The far end's texts: what they contain, and that a wrong description makes none. The laboratory applies them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from failover.far_end import (
    KEY_PATH,
    FarEnd,
    FarLine,
    files,
    ip_commands,
    nft_rules,
    printed,
    problems,
    reflector_unit,
    removal_commands,
    routes_unit,
    sysctls,
)

TELECOM = FarLine(name="telecom", number=1, device="ens4.100", gateway="10.1.2.1", prefix="10.1.1.0/30")
UNICOM = FarLine(name="unicom", number=2, device="ens5", gateway="10.2.2.1", prefix="10.2.1.0/30")
FAR = FarEnd(
    lines=(TELECOM, UNICOM), service_ip="10.9.0.1", clinic_prefixes=("192.168.77.0/24",), reflect_on=("10.100.0.1",)
)


def test_every_line_is_noted_and_answers_go_by_the_note() -> None:
    rules = nft_rules(FAR)
    assert 'iifname "ens4.100" ip saddr @clinic ct mark set ct mark & 0xffffff00 | 0x1' in rules
    assert 'iifname "ens5" ip saddr @clinic ct mark set ct mark & 0xffffff00 | 0x2' in rules
    assert "elements = { 10.9.0.1/32, 192.168.77.0/24, 10.1.1.0/30, 10.2.1.0/30 }" in rules
    assert rules.count("meta mark set ct mark & 0xff") == 2, "for what is forwarded, and for what this machine says"
    assert rules.index("delete table") < rules.index("chain arrival"), "loading it again replaces it"


def test_rules_and_routes_of_each_line() -> None:
    commands = ip_commands(FAR)
    assert "rule add pref 901 fwmark 0x1/0xff lookup 101" in commands
    assert "route replace default via 10.2.2.1 dev ens5 table 102" in commands
    assert "route replace 10.1.1.0/30 via 10.1.2.1 dev ens4.100" in commands
    own = [command for command in commands if command.startswith("route replace 10.9.0.1/32")]
    assert [command.split()[-1] for command in own] == ["100", "101"], "the first line that is up"
    assert len(removal_commands(FAR)) == len(commands)
    unit = routes_unit(FAR)
    for command in commands:
        assert f"ExecStart=ip {command}" in unit
    for command in removal_commands(FAR):
        assert f"ExecStop=-ip {command}" in unit
    assert unit.index("ExecStart=-ip rule del pref 901") < unit.index("ExecStart=ip rule add pref 901")


def test_the_reflector_answers_the_clinic_only() -> None:
    unit = reflector_unit(FAR)
    assert "--listen 10.100.0.1:862" in unit
    for prefix in FAR.clinic:
        assert f"--allow {prefix}" in unit
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in unit
    assert "key" not in unit
    high = reflector_unit(replace(FAR, reflector_port=20862, has_key=True))
    assert "Capabilities=CAP" not in high and "CapabilityBoundingSet=\n" in high
    assert "--key-file ${CREDENTIALS_DIRECTORY}/reflector.key" in high
    assert f"LoadCredential=reflector.key:{KEY_PATH}" in high


def test_without_service_address_only_the_lines_own_come_back() -> None:
    bare = FarEnd(lines=(TELECOM,))
    assert bare.clinic == ("10.1.1.0/30",)
    assert not any("metric" in command for command in ip_commands(bare))
    assert len(files(bare)) == 3
    assert "edge-reflector" not in printed(bare)


def test_a_device_with_a_dot_is_written_as_sysctl_wants_it() -> None:
    assert "net.ipv4.conf.ens4/100.rp_filter = 2" in sysctls(FAR)


def test_each_file_says_what_it_is_for_and_where_it_goes() -> None:
    text = printed(replace(FAR, has_key=True))
    for file in files(FAR):
        assert f"# ==== {file.path} (mode 0644)" in text
        assert file.text.startswith("#")
    assert "systemctl enable --now edge-far-end edge-reflector" in text
    assert KEY_PATH in text


@pytest.mark.parametrize(
    "far, sentence",
    [
        (FarEnd(lines=()), "there is no line"),
        (replace(FAR, lines=(TELECOM, replace(UNICOM, number=1))), "two lines have the mark 1"),
        (replace(FAR, lines=(TELECOM, replace(UNICOM, device="ens4.100"))), "two lines have the device ens4.100"),
        (replace(FAR, lines=(replace(TELECOM, number=100),)), "telecom: the mark 100 does not lie between 1 and 99"),
        (replace(FAR, lines=(replace(TELECOM, device='a" drop'),)), "telecom: 'a\" drop' is no name of an interface"),
        (replace(FAR, lines=(replace(TELECOM, gateway="carrier"),)), "telecom: 'carrier' is no IPv4 address"),
        (replace(FAR, clinic_prefixes=("10.1.1.2/30",)), "'10.1.1.2/30' is no IPv4 network, such as 10.1.1.0/30"),
        (replace(FAR, service_ip="10.9.0.1/32"), "'10.9.0.1/32' is no IPv4 address"),
        (replace(FAR, reflect_on=("::1",)), "'::1' is no IPv4 address"),
    ],
)  # fmt: skip
def test_a_wrong_description_makes_no_text(far: FarEnd, sentence: str) -> None:
    assert problems(far) == [sentence]
    for make in (files, nft_rules, ip_commands, removal_commands, routes_unit, reflector_unit, sysctls, printed):
        with pytest.raises(ValueError) as caught:
            make(far)
        assert str(caught.value) == sentence


def test_a_line_may_be_called_anything() -> None:
    """The name stands in a comment of the rules; what is no letter does not."""
    rules = nft_rules(replace(FAR, lines=(replace(TELECOM, name='电信"; flush ruleset'),)))
    assert 'comment "came by 电信?? flush ruleset"' in rules

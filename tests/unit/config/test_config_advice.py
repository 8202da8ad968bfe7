"""What `config check` asks an operator to look at again, though it is allowed."""

from __future__ import annotations

import pytest

from edge_node.config.advice import advice
from edge_node.config.load import parse
from edge_node.config.render import example

NODE = '[node]\nid = "clinic-0042"\n'
NAS = '[[replica.destination]]\nname = "nas"\nurl = "file:///mnt/nas"\n'
SAFE = NODE + "[replica]\nplain = true\n" + NAS
CLOUD = SAFE.replace(
    'name = "nas"\nurl = "file:///mnt/nas"', 'name = "cloud"\nurl = "s3://b"\ncredential = "cloud-key"'
)
ONE = "age1puke85mf2n2f0l8ua8h748kv9ufdrth8v7lutkcns0amjskwvxesz88v8c"
PREFIX = '[lines]\ncloud_prefixes = ["10.100.0.0/24"]\n'


def _upstream(url: str) -> str:
    return f'[[upstream]]\nname = "platform"\nurl = "{url}"\n'


def _push(url: str) -> str:
    return f'[monitor]\nremote_write = {{ url = "{url}", credential = "prom-key" }}\n'


def _line(*kinds: str) -> str:
    targets = ", ".join(f'{{ address = "10.100.0.{n}", kind = "{kind}" }}' for n, kind in enumerate(kinds, start=1))
    return f'[[line]]\nname = "telecom"\npreferred = 1\ninterface = "enp2s0"\ntarget = [{targets}]\n'


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        pytest.param(SAFE, [], id="nothing-to-say"),
        pytest.param(NODE, ["replica"], id="no-copies"),
        pytest.param(
            f'{NODE}[replica]\nencrypt_to = ["{ONE}"]\n{NAS}',
            ["replica.encrypt_to[0]", "replica.encrypt_to"],
            id="one-recipient-and-it-is-the-example-s",
        ),
        pytest.param(example(), ["replica.encrypt_to[0]", "replica.encrypt_to[1]", "line[0].target"], id="the-example"),
        pytest.param(CLOUD, ["replica.destination[0].url"], id="unencrypted-outside"),
        pytest.param(
            f'{SAFE}[lines]\nact = "enforce"\n', ["lines.act", "lines.cloud_prefixes"], id="nothing-to-enforce"
        ),
        pytest.param(
            CLOUD.replace("plain = true", f'encrypt_to = ["{ONE[:-1]}c"]')
            + 'addresses = ["10.100.0.9", "10.200.0.9"]\n'
            + PREFIX,
            ["replica.encrypt_to[0]", "replica.encrypt_to", "replica.destination[0].addresses[1]"],
            id="a-destination-no-line-leads-to",
        ),
        pytest.param(
            CLOUD + 'endpoint = "http://10.200.0.9:9000"\n' + PREFIX,
            ["replica.destination[0].url", "replica.destination[0].endpoint"],
            id="an-endpoint-no-line-leads-to",
        ),
        pytest.param(SAFE + PREFIX + _upstream("https://10.200.0.1/fhir"), ["upstream[0].url"], id="upstream-outside"),
        pytest.param(SAFE + PREFIX + _upstream("https://10.100.0.1/fhir"), [], id="upstream-inside"),
        pytest.param(SAFE + PREFIX + _upstream("https://platform.example.com"), [], id="a-name-cannot-be-judged"),
        pytest.param(SAFE + _line("stamp"), ["line[0].target"], id="a-line-that-falls-with-its-reflector"),
        pytest.param(SAFE + _line("stamp", "icmp"), [], id="an-echo-beside-it"),
        pytest.param(SAFE + _upstream("https://10.200.0.1/fhir"), [], id="no-prefixes-no-judgement"),
        pytest.param(SAFE + _push("https://p.example.com/api/v1/write"), [], id="metrics-as-they-should"),
        pytest.param(SAFE + _push("http://p.example.com/w"), ["monitor.remote_write.url"], id="a-secret-in-the-open"),
        pytest.param(SAFE + _push("https://p.example.com/"), ["monitor.remote_write.url"], id="metrics-to-the-root"),
        pytest.param(SAFE + PREFIX + _push("https://10.2.0.9/w"), ["monitor.remote_write.url"], id="metrics-outside"),
    ],
)
def test_advice(text: str, paths: list[str]) -> None:
    assert [note.path for note in advice(parse(text))] == paths

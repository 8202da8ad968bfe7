"""The steps on each kind of computer that a clinic has, as its own menus call them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edge_node.i18n import Text, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A kind of computer; `where` says which browsers this is for."""

    name: Text
    where: Text
    steps: tuple[Text, ...]


DEVICES = (
    Device(
        name=text("Windows"),
        where=text("for Edge, Chrome and the 360 browser; needs an administrator"),
        steps=(
            text("Open the downloaded file, then Install Certificate."),
            text("Choose Local Machine, then Next."),
            text(
                "Choose: place all certificates in the following store; Browse; Trusted Root Certification Authorities."
            ),
            text("Finish, close the browser, open it again."),
        ),
    ),
    Device(
        name=text("Firefox"),
        where=text("on every system; it has a list of its own"),
        steps=(
            text("Settings, Privacy and Security, Certificates, View Certificates."),
            text("Authorities, Import, choose the downloaded file."),
            text("Tick: trust this authority to identify websites."),
        ),
    ),
    Device(
        name=text("Kylin, UOS"),
        where=text("for their browsers and others made from Chromium"),
        steps=(
            text("In the browser: Settings, Privacy and Security, Security, Manage certificates."),
            text("Authorities, Import, choose the downloaded file."),
            text("Tick: trust this certificate to identify websites."),
        ),
    ),
    Device(
        name=text("HarmonyOS"),
        where=text("Huawei tablets and phones"),
        steps=(
            text("Settings, Security (or Privacy and Security), More security settings (or Advanced)."),
            text("Encryption and credentials, Install from storage, CA certificate."),
            text("Choose the downloaded file and confirm with the unlock code."),
        ),
    ),
    Device(
        name=text("Android"),
        where=text("other tablets and phones, for Chrome"),
        steps=(
            text("Settings, Security, More security settings, Encryption and credentials."),
            text("Install a certificate, CA certificate, Install anyway."),
            text("Choose the downloaded file. The notice that the network may be monitored is about this file."),
        ),
    ),
    Device(
        name=text("iPad"),
        where=text("open this page in Safari"),
        steps=(
            text("Download the file and allow it."),
            text("Settings, Profile Downloaded, Install."),
            text("Settings, General, About, Certificate Trust Settings: switch it on for the name above."),
        ),
    ),
)

"""The tree of errors, and the exit codes they end in.

EdgeError                      code, message, context, hint
├── UsageError                 usage, line-unknown, incident-unknown, maintenance-overlaps, maintenance-unknown,
│                              trace-unreadable, trace-empty, authority-exists, bundle-unsound, runbook-unknown,
│                              not-training, package-missing
├── ConfigError                config-invalid, config-missing, config-unwritable,
│                              credential-missing, credential-exposed, credential-unusable, credential-unwritable,
│                              certificate-unusable, certificate-foreign, authority-missing
├── StoreError                 db-missing, db-newer-than-program, db-behind, db-corrupt, db-busy, disk-full,
│                              disk-failed, evidence-altered, evidence-unreadable, audit-broken, audit-rewritten,
│                              superseded
├── ReplicaError               litestream-missing, litestream-failed, replica-unreachable, replica-refused,
│                              replica-unsound, restore-failed, restore-incomplete, object-unsound,
│                              identity-missing, identity-foreign, identity-unreadable, epoch-unreadable,
│                              drill-failed, clock-doubtful, epoch-taken, kit-missing, kit-unreadable,
│                              promotion-impossible, promotion-unreadable, confirmation-missing
├── OutboxError                message-unknown, message-not-dead, no-transaction
└── ServiceError               already-running, privilege-missing, orders-unreadable, orders-unwritable, links-unheard,
                               units-missing, address-missing, not-installed, upgrade-impossible, step-failed,
                               release-unwell, nothing-to-return-to, his-unheard

A code is kebab-case, unique, documented in README.md beside this file's package, and never changes.
Errors are returned upward or handled; only the command line and the service roots print them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command and service; systemd does not restart on 2, 3 and 4."""

    DONE = 0
    BUG = 1
    USAGE = 2
    CONFIG = 3
    DATA = 4
    REPLICA = 5
    NETWORK = 6
    DRILL = 7
    BUSY = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a document: where it stands and what to write instead."""

    path: str
    text: str


class EdgeError(Exception):
    """An expected failure, written for the person who must act on it at 2 a.m.

    `context` and `hint` must be given, if only as None, so that whoever raises has thought of them.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(
        self,
        code: str,
        message: str,
        *,
        context: str | None,
        hint: str | None,
        problems: Sequence[Problem] = (),
        exit_code: ExitCode | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.context = context
        self.hint = hint
        self.problems = tuple(problems)
        if exit_code is not None:
            self.exit_code = exit_code

    def render(self) -> str:
        """The whole error as the terminal shows it, without a final newline."""
        lines = [f"error: {self.code}: {self.message}"]
        if self.problems:
            width = max(len(p.path) for p in self.problems)
            lines += ["", *(f"  {p.path:<{width}}  {p.text}" for p in self.problems), ""]
        if self.context:
            lines += [
                f"context: {line}" if i == 0 else f"         {line}" for i, line in enumerate(self.context.splitlines())
            ]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(EdgeError):
    """The command was called in a way that cannot work."""

    exit_code = ExitCode.USAGE


class ConfigError(EdgeError):
    """The configuration is missing or wrong; a person must mend it."""

    exit_code = ExitCode.CONFIG


class StoreError(EdgeError):
    """A database is missing, damaged, newer than this program, or cannot be written."""

    exit_code = ExitCode.DATA


class ReplicaError(EdgeError):
    """Litestream, a destination or a restore failed."""

    exit_code = ExitCode.REPLICA


class OutboxError(EdgeError):
    """A message cannot be put, found or moved."""

    exit_code = ExitCode.DATA


class ServiceError(EdgeError):
    """A service cannot run: another one does, or a privilege is missing."""

    exit_code = ExitCode.BUSY

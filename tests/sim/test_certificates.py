"""The fake authority keeps the same contract as uacme with a real one (tests/e2e/test_entrance.py)."""

import asyncio

import pytest
from tests.contract import certificates
from tests.contract.certificates import OTHER

from skerry.model.ids import Digest
from skerry.model.observed import CertificatesSeen
from skerry.plan.actions import Action, Outcome
from skerry.sim.certificates import FakeAuthority, FakeCertificates


class FakeRig:
    def __init__(self) -> None:
        self.authority = FakeAuthority()
        self.authority.refused[OTHER] = "it leads elsewhere"
        self.certificates = FakeCertificates(self.authority)
        self.now_us = 1_700_000_000_000_000

    async def look(self) -> CertificatesSeen:
        return self.certificates.observe(self.now_us)

    async def perform(self, action: Action) -> Outcome:
        self.now_us += 1_000_000
        return self.certificates.perform(action, self.now_us)

    def open_certificate(self, version: Digest) -> bytes | None:
        return self.certificates.open_certificate(version)

    def restart_agent(self) -> None:
        pass

    def accept_terms(self, *, accepted: bool) -> None:
        self.certificates.reason = "" if accepted else "the terms are not accepted"

    def cut_authority(self) -> None:
        self.authority.is_there = False


@pytest.mark.parametrize("name", certificates.CHECKS)
def test_the_fake_keeps_the_contract(name: str):
    asyncio.run(certificates.CHECKS[name](FakeRig()))

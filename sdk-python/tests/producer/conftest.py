"""What the tests of producers share."""

import pytest
from conftest import Dev

from producer.ledger import Ledger


@pytest.fixture
def ledger(dev: Dev) -> Ledger:
    return Ledger(dev)

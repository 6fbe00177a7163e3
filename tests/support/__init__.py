"""What several test files need and no fixture can be: plain functions, imported as ``from .support.…``."""

from __future__ import annotations

import pytest

# Before they are imported, so that their assertions explain themselves as those of test files do.
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in ("command_line", "figures", "parts", "results")))

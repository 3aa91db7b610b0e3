from tests.integration.engine.conftest import scene

__all__ = ["scene"]

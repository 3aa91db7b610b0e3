import pytest

from participants.demo.settings import SettingError, from_environment


@pytest.mark.parametrize(
    "port", ["\u0668\u0660\u0660\u0669", "+8009", " 8009 ", "8_009", "80.0", "0", "65536", "9" * 5000]
)
def test_port_is_accepted_only_in_plain_notation(port):
    with pytest.raises(
        SettingError, match=r"^PORT must be a port from 1 to 65535, not .{1,50}; set PORT to a free one$"
    ):
        from_environment({"PORT": port})

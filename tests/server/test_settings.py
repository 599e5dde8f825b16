import pytest

from dataselect_env.server.settings import DEFAULT_PORT, WITHOUT_PREFIX, Settings, SettingsError, default_store_path
from tests.helpers.serving import running_server

VARIABLES = [*WITHOUT_PREFIX, *(f"DATASELECT_{name.upper()}" for name in Settings.model_fields)]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_defaults() -> None:
    settings = Settings.load()
    assert settings.port == DEFAULT_PORT == 7860
    assert settings.store is None


def test_every_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"host": "127.0.0.1", "store": "memory:", "max_sessions": "7", "port": "1234"}.items():
        monkeypatch.setenv(f"DATASELECT_{name.upper()}", value)
    settings = Settings.load()
    assert (settings.host, settings.store, settings.max_sessions, settings.port) == ("127.0.0.1", "memory:", 7, 1234)


def test_port_alone_is_enough_and_an_argument_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "4321")
    assert Settings.load().port == 4321
    assert Settings.load(port=99, host=None).port == 99


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "http"), ("PORT", "0"), ("PORT", "70000"), ("DATASELECT_MAX_SESSIONS", "0"), ("DATASELECT_PORT", "-1")],
)
def test_a_value_that_does_not_fit_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        Settings.load()


@pytest.mark.parametrize("origins", ["", "*", "https://a.example", " https://a.example:8443 , http://b.example,"])
def test_origins_are_divided_by_commas(origins: str) -> None:
    assert Settings(allowed_origins=origins).origins == {part.strip() for part in origins.split(",")} - {""}


def test_the_page_of_a_space_may_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_HOST", "owner-space.hf.space")
    assert Settings.load().origins == {"https://owner-space.hf.space"}


@pytest.mark.parametrize("origins", ["a.example", "https://a.example/", "https://a.example/page", "ftp://a", "null"])
def test_what_is_no_origin_is_refused(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("DATASELECT_ALLOWED_ORIGINS", f"https://b.example,{origins}")
    with pytest.raises(SettingsError, match=r"^DATASELECT_ALLOWED_ORIGINS: .*https://example\.org"):
        Settings.load()


def test_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASELECT_TOKEN", "SECRET")
    assert "SECRET" not in repr(Settings.load())
    monkeypatch.setenv("DATASELECT_TOKEN", "SECRET with a space")
    with pytest.raises(SettingsError, match=r"^DATASELECT_TOKEN: ") as refused:
        Settings.load()
    assert "SECRET" not in str(refused.value)


KUBERNETES = {
    "DATASELECT_PORT": "tcp://10.43.7.9:80",
    "DATASELECT_SERVICE_HOST": "10.43.7.9",
    "DATASELECT_SERVICE_PORT": "80",
    "DATASELECT_SERVICE_PORT_HTTP": "80",
    "DATASELECT_PORT_80_TCP": "tcp://10.43.7.9:80",
    "DATASELECT_PORT_80_TCP_PROTO": "tcp",
    "DATASELECT_PORT_80_TCP_PORT": "80",
    "DATASELECT_PORT_80_TCP_ADDR": "10.43.7.9",
}


@pytest.mark.parametrize("service", ["", "ENV_", "STORE_2_"])
def test_what_kubernetes_says_about_a_service_of_this_name_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    for variable, value in KUBERNETES.items():
        monkeypatch.setenv(variable.replace("DATASELECT_", f"DATASELECT_{service}"), value)
    assert (Settings.load().port, Settings().port) == (DEFAULT_PORT, DEFAULT_PORT)
    monkeypatch.setenv("PORT", "4321")
    assert (Settings.load().port, Settings().port) == (4321, 4321)


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("DATASELECT_TOEKN", "DATASELECT_TOKEN"),
        ("DATASELECT_MAX_SESSION", "DATASELECT_MAX_SESSIONS"),
        ("dataselect_allowed_origin", "DATASELECT_ALLOWED_ORIGINS"),
        ("DATASELECT_PORT_80", "DATASELECT_PORT"),
        ("DATASELECT_", "DATASELECT_"),
    ],
)
def test_a_name_that_is_no_setting_ends_the_start_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, variable: str, nearest: str
) -> None:
    monkeypatch.setenv(variable, "SECRET")
    with pytest.raises(SettingsError, match=f"^{variable}: .*{nearest}") as refused:
        Settings.load()
    assert "SECRET" not in str(refused.value)


@pytest.mark.slow
def test_a_misspelt_token_does_not_open_the_server() -> None:
    with (
        pytest.raises(AssertionError, match=r"Error: DATASELECT_TOEKN: .* DATASELECT_TOKEN"),
        running_server(env={"DATASELECT_TOEKN": "secret"}),
    ):
        pass


@pytest.mark.slow
def test_a_service_of_kubernetes_does_not_stop_the_start() -> None:
    with running_server(env=KUBERNETES) as server:
        assert server.get("/health")["status"] == "healthy"


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_default_store_is_a_file_of_this_project() -> None:
    assert default_store_path().name == "episodes.db"
    assert "dataselect-env" in default_store_path().parts

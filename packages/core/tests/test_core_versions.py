import platform

from graftwork.core.versions import environment


def test_python_core_and_every_plugin_are_told(install) -> None:
    install("graftwork-far", {"far": "never_imported"}, version="3.4")
    install("unrelated", {}, version="9")
    found = environment()
    assert found["python"] == platform.python_version()
    assert found["graftwork-far"] == "3.4"
    assert "graftwork-core" in found
    assert "unrelated" not in found


def test_blocked_plugins_are_absent(install, monkeypatch) -> None:
    install("graftwork-far", {"far": "never_imported"})
    monkeypatch.setenv("GRAFTWORK_BLOCK", "far")
    assert "graftwork-far" not in environment()


def test_the_order_is_stable(install) -> None:
    for name in ("zeta", "alpha"):
        install(name, {name: "never_imported"})
    assert list(environment()) == ["python", "alpha", "graftwork-core", "zeta"]

"""Settings of the service. The only module of serving that reads, or sets, the environment."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.events import Tenant

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the four rooms: the project, or the source folder of a Bento."""

_HOME = "nextwise-bentoml-"
_SECRET_BYTES = 32
_PUBLIC = re.compile(r"https?://[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*")
_ORIGIN = re.compile(r"https?://[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?")


class Settings(BaseSettings):
    """Each field is read from `NEXTWISE_<NAME>`.

    store: database URL of the event store. bundles: folder of published bundles. spool: folder that keeps decisions while
    the store is down. policy: a TOML file (`serving.policy`), None for the defaults. experiments: folder of what
    `python -m experiments start` records, followed while serving. dev_key: the development key, empty
    for none; dev_tenant: the tenant it opens. poll_s: seconds between two looks at the bundle pointers. shadow_share: share
    of the rankings that a challenger scores as well (`serving.shadow`). deadline_ms: how long an answer may wait for a
    learner's history before it goes without. rate_per_s: requests a second that a key may send to one worker, twice as many
    in a burst; 0: any number. token_secret: what learner tokens are signed with, empty for none; token_secret_before:
    another that is accepted, while the first takes its place. cors_origins: origins whose pages may call with a token,
    separated by commas. public_url: where learners' browsers reach this service, for the links of nudges; empty for none.
    log: how lines of the log are written. traces_exporter, sdk_disabled: OpenTelemetry's own variables.
    """

    model_config = SettingsConfigDict(env_prefix="NEXTWISE_", frozen=True, extra="ignore", hide_input_in_errors=True)

    store: str = "sqlite:///var/events.db"
    bundles: Path = ROOT / "bundles"
    spool: Path = Path("var/spool")
    policy: Path | None = None
    experiments: Path = Path("var/experiments")
    dev_key: str = "nextwise-development-key"
    dev_tenant: Tenant = "demo"
    poll_s: float = Field(default=1.0, gt=0)
    rate_per_s: float = Field(default=1_000.0, ge=0)
    token_secret: SecretStr = SecretStr("")
    token_secret_before: SecretStr = SecretStr("")
    cors_origins: str = ""
    public_url: str = Field(default="", max_length=200)
    shadow_share: float = Field(default=0.05, ge=0, le=1)
    deadline_ms: float = Field(default=500.0, gt=0)
    log: Literal["text", "json"] = "text"
    prometheus_dir: str | None = Field(default=None, validation_alias="PROMETHEUS_MULTIPROC_DIR")
    traces_exporter: str = Field(default="none", validation_alias="OTEL_TRACES_EXPORTER")
    sdk_disabled: bool = Field(default=False, validation_alias="OTEL_SDK_DISABLED")

    @field_validator("token_secret", "token_secret_before")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value().encode()) < _SECRET_BYTES:
            raise ValueError(f"a secret of tokens has at least {_SECRET_BYTES} bytes: take `openssl rand -hex 32`")
        return secret

    @field_validator("cors_origins")
    @classmethod
    def _exact(cls, origins: str) -> str:
        wrong = [one for one in _listed(origins) if not _ORIGIN.fullmatch(one)]
        if wrong:
            raise ValueError(
                f"{', '.join(map(repr, wrong))} is no exact origin: write scheme, host and port if any, such as "
                "https://lms.example, in small letters, without a path; `*` is none, for it would let every page call"
            )
        return origins

    @field_validator("public_url")
    @classmethod
    def _address(cls, url: str) -> str:
        if url and not _PUBLIC.fullmatch(url):
            raise ValueError(
                f"{url!r} is no address of a service: write scheme, host, and port and path if any, such as "
                "https://learn.example, without a slash at the end"
            )
        return url

    @property
    def token_secrets(self) -> tuple[str, ...]:
        """The secrets that there are; the first one signs."""
        both = (self.token_secret.get_secret_value(), self.token_secret_before.get_secret_value())
        return both if all(both) else both[:1] if both[0] else ()

    @property
    def origins(self) -> frozenset[str]:
        """The origins of `cors_origins`."""
        return frozenset(_listed(self.cors_origins))

    @model_validator(mode="after")
    def _data_outside_of_a_bento(self) -> Self:
        """A Bento is replaced by the next build, so it must not keep events or decisions."""
        inside = [
            name for name, place in (("STORE", _absolute(self.store)), ("SPOOL", str(self.spool.resolve()))) if _within(place)
        ]
        if inside:
            raise ValueError(
                f"NEXTWISE_{' and NEXTWISE_'.join(inside)} would lie inside the Bento {ROOT.parent.name} and be lost with it: "
                "set NEXTWISE_STORE (such as sqlite:////srv/nextwise/events.db) and NEXTWISE_SPOOL to places outside"
            )
        return self


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _within(place: str) -> bool:
    """Whether a path or SQLite URL lies inside the Bento that this code is part of; never outside of a Bento."""
    return (ROOT.parent / "bento.yaml").is_file() and Path(place.removeprefix("sqlite:///")).is_relative_to(ROOT.parent)


def one_thread() -> None:
    """One request, one thread: numeric libraries start none of their own. Call before numpy is imported.

    Measured: a ranking of 20,000 items is five times slower when every request starts its own threads.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment of a process that serves from the project's folder: this one's, with `settings` as absolute paths."""
    pinned = {
        "NEXTWISE_STORE": _absolute(settings.store),
        "NEXTWISE_BUNDLES": str(settings.bundles.resolve()),
        "NEXTWISE_SPOOL": str(settings.spool.resolve()),
        "NEXTWISE_EXPERIMENTS": str(settings.experiments.resolve()),
        **({} if settings.policy is None else {"NEXTWISE_POLICY": str(settings.policy.resolve())}),
    }
    one_thread()
    return {**os.environ, "BENTOML_DO_NOT_TRACK": "True", **pinned}


def own_home() -> Path:
    """A fresh temporary home of BentoML for this process; those of processes that ended are removed.

    BentoML keeps metrics under its home and empties that folder at each start, whoever else still counts there.
    """
    parent = Path(tempfile.gettempdir())
    for old in parent.glob(f"{_HOME}*"):
        pid = old.name.removeprefix(_HOME).partition("-")[0]
        if pid.isdigit() and not lives(int(pid)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_HOME}{os.getpid()}-"))


def lives(pid: int) -> bool:
    """Whether there is a process of this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _absolute(url: str) -> str:
    """A SQLite URL of a relative file, made absolute."""
    scheme, path = "sqlite:///", url.removeprefix("sqlite:///")
    return scheme + str(Path(path).resolve()) if url.startswith(scheme) and path and not path.startswith(":") else url

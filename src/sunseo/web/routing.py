"""From the endpoint table to who serves a path."""

from sunseo.telemetry.metrics import Metrics
from sunseo.web.adapter import Adapter, refuse_wrong_row
from sunseo.web.authentication import Authentication
from sunseo.web.endpoint import Endpoint
from sunseo.web.input.paths import Template
from sunseo.web.limits import Limits
from sunseo.web.problems import METHOD_NOT_ALLOWED, ProblemError


class Methods:
    """What one path answers to."""

    def __init__(self) -> None:
        self.adapters: dict[str, Adapter] = {}

    def add(self, adapter: Adapter) -> None:
        method = adapter.endpoint.method
        if method in self.adapters:
            raise ValueError(f"{method} {adapter.route} is there twice")
        self.adapters[method] = adapter
        if method == "GET":
            self.adapters["HEAD"] = adapter

    def from_other_sites(self) -> str:
        """The methods that pages of other sites may use."""
        allowed = (m for m, adapter in self.adapters.items() if adapter.endpoint.cross_origin)
        return ", ".join(sorted(allowed))

    def refuse(self, method: str) -> ProblemError:
        allow = ", ".join(sorted(self.adapters))
        return ProblemError(
            METHOD_NOT_ALLOWED,
            f"This path knows {allow}, not {method[:20]}.",
            headers=((b"allow", allow.encode()),),
            expected=allow,
        )


def paths_of(
    table: list[Endpoint], authentication: Authentication, limits: Limits, metrics: Metrics
) -> dict[str, tuple[Template, Methods]]:
    paths: dict[str, tuple[Template, Methods]] = {}
    names: set[str] = set()
    for endpoint in table:
        refuse_wrong_row(endpoint)
        if endpoint.name in names:
            raise ValueError(f"two endpoints are called {endpoint.name}")
        names.add(endpoint.name)
        template, methods = paths.setdefault(
            Template(endpoint.path).path, (Template(endpoint.path), Methods())
        )
        route = metrics.route(endpoint.method, template.path)
        methods.add(Adapter(endpoint, template, authentication, route, limits.body_bytes_max))
    return paths

"""What the API server answered, as an error that can be shown to a user."""

from dataclasses import dataclass, field
from http import HTTPStatus

from riskbus_operator.api.errors import OperatorError
from riskbus_operator.desired.names import Object


class ConnectionFailedError(OperatorError):
    """There is no API server to talk to: wrong address or credentials, or it does not answer."""


@dataclass
class ApiError(OperatorError):
    """The API server refused a request.

    Attributes:
        status: The HTTP status; 0 if no answer came.
        reason: Kubernetes' reason, like Conflict or Forbidden.
        message: What the API server said.
        causes: Parts of the answer, one for each field that is wrong or owned by somebody else.
        retry_after: Seconds that the API server asks to wait.
    """

    status: int
    reason: str
    message: str
    causes: tuple[Object, ...] = field(default=())
    retry_after: float = 0.0

    def __str__(self) -> str:
        return self.message

    @property
    def missing(self) -> bool:
        """Whether the object (or its kind) does not exist."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def owned_by_others(self) -> bool:
        """Whether it is a server-side apply's conflict: other managers own the fields with other values."""
        return any(cause.get("reason") == "FieldManagerConflict" for cause in self.causes)

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.status in (0, HTTPStatus.TOO_MANY_REQUESTS) or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def retriable(self) -> bool:
        """Whether a fresh look at the cluster may help: the object has changed or gone meanwhile."""
        raced = self.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
        return self.transient or (raced and not self.owned_by_others)

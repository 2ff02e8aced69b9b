"""Webhooks, as callers see them."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from core.json_fields import Moment
from core.states import DeliveryState


class Delivery(BaseModel):
    """A webhook that was recorded when a job ended."""

    id: UUID = Field(description="The `webhook-id` of every attempt.")
    event: str = Field(examples=["job.completed"])
    url: str
    state: DeliveryState
    attempts: int = Field(ge=0)
    last_status: int | None = Field(description="HTTP status of the last attempt.")
    last_error: str | None = Field(description="Why the last attempt failed.")
    created_at: Moment
    delivered_at: Moment | None
    next_try_at: Moment | None = Field(description="Null unless another attempt is planned.")


class Deliveries(BaseModel):
    """The webhooks of a job, in order of creation."""

    deliveries: list[Delivery]


class WebhookSecret(BaseModel):
    """The secret that signs the caller's webhooks."""

    secret: str = Field(pattern="^whsec_", examples=["whsec_c2VjcmV0"])

"""Whether a service serves, asked where the kubelet asks."""

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

_ANSWER_SECONDS = 5.0
_QUICKLY = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
)


async def serving(address: str) -> None:
    """Returns when the service at the address says that it serves. Waits as long as that takes."""
    async with grpc.aio.insecure_channel(address, options=_QUICKLY) as channel:
        while not await _watch(HealthStub(channel)):
            pass


async def _watch(stub: HealthStub) -> bool:
    """Follows what the service says about itself; False when the connection broke before it served."""
    try:
        async for answer in stub.Watch(HealthCheckRequest(), wait_for_ready=True):
            if answer.status == HealthCheckResponse.SERVING:
                return True
    except grpc.aio.AioRpcError:
        pass
    return False


async def serves(address: str) -> bool:
    """Whether the service at the address says now that it serves."""
    async with grpc.aio.insecure_channel(address, options=_QUICKLY) as channel:
        try:
            answer = await HealthStub(channel).Check(HealthCheckRequest(), timeout=_ANSWER_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == HealthCheckResponse.SERVING)

"""The story: a profile comes in, a customer reads it, a contact leaves by the form, the person asks for deletion."""

import grpc
from igstats_kit.testing.processes import ProcessError
from rich.console import Console
from rich.markup import escape

from igstats_dev.account import Access
from igstats_dev.demo import arrival, departure, stranger
from igstats_dev.demo.customer import Customer
from igstats_dev.demo.narrator import Narrator, StoryError
from igstats_dev.demo.scene import Scene
from igstats_dev.stack import Stack


async def tell(stack: Stack, access: Access, console: Console) -> str:
    """Tells it on the running stack; the username of a profile that stays connected.

    When a step did not do what it tells, the reason is printed, and there is no name.
    """
    narrator = Narrator(console)
    try:
        async with Customer.calling(access, narrator) as customer:
            stays = await _chapters(Scene(stack, customer, narrator))
    except grpc.aio.AioRpcError as error:
        return _failed(console, f"a gRPC call failed with {error.code().name}: {error.details()}")
    except (StoryError, ProcessError, TimeoutError, LookupError) as error:
        return _failed(console, str(error) or type(error).__name__)
    console.print("\n[bold green]Everything above was checked, and held.[/bold green]")
    return stays


async def _chapters(scene: Scene) -> str:
    person, connection = await arrival.connect(scene)
    await arrival.ingest(scene, connection)
    await arrival.read(scene, person)
    await stranger.ask(scene)
    request = await departure.delete(scene, person)
    await departure.verify(scene, request)
    await departure.stay_away(scene, person, connection)
    await departure.search(scene, person)
    return await arrival.remain(scene)


def _failed(console: Console, why: str) -> str:
    console.print(f"\n[bold red]The story ended here:[/bold red] {escape(why)}", highlight=False)
    return ""

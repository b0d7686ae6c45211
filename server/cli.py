"""The command line. Commands are thin: what they do lives in the modules that they name and load only then."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from server.memory import share_heaps
from server.settings import Settings, variable

FAILED, WRONG_USE, IN_USE, STOPPED = 1, 2, 3, 130
"""Exit codes: something failed; a setting, an argument or the port is wrong; another process uses the home; Ctrl-C."""

app = typer.Typer(
    name="agora",
    help="A federated GraphQL commerce server. Settings come from AGORA_* variables; `agora doctor` lists them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Home = Annotated[
    Path | None, typer.Option(help="Folder for data, secrets and logs.", show_default="~/.local/share/agora")
]
PassphraseFile = Annotated[
    Path | None, typer.Option(help="Holds the passphrase.", show_default="AGORA_BACKUP_PASSPHRASE", exists=True)
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of the terminal.")]


@app.callback(invoke_without_command=True)
def agora(
    show_version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if show_version:
        typer.echo(f"agora {installed_version('agora')}")
        raise typer.Exit


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")] = None,
    home: Home = None,
    only: Annotated[str, typer.Option(help="Serve only these subgraphs, or groups of them, comma-separated.")] = "",
    graph: Annotated[
        bool | None, typer.Option("--graph/--no-graph", help="Serve the united graph too, not the subgraphs alone.")
    ] = None,
    prepare: Annotated[
        bool, typer.Option("--prepare/--no-prepare", help="Migrate the database first.", hidden=True)
    ] = True,
    worker: Annotated[bool | None, typer.Option("--worker/--no-worker", help="Run a worker process too.")] = None,
    demo: Annotated[
        bool | None, typer.Option("--demo/--no-demo", help="Load the demo marketplace on first start.")
    ] = None,
) -> None:
    """Start the engines, migrate, and serve the graph until Ctrl-C."""
    settings = _settings(host=host, port=port, home=home, graph=graph, worker=worker, demo=demo)
    contexts = resolve_name("server.groups:expanded")([name.strip() for name in only.split(",") if name.strip()])
    announce = _announce_part if contexts else _announce
    resolve_name("server.serving:serve")(settings, contexts, announce=announce, prepare=prepare)


@app.command()
def gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the gateway; the groups take the four after it.", show_default="8000")
    ] = None,
    home: Home = None,
    demo: Annotated[
        bool | None, typer.Option("--demo/--no-demo", help="Load the demo marketplace on first start.")
    ] = None,
) -> None:
    """Serve the graph in parts, four groups of subgraphs behind Hive Gateway, until Ctrl-C (needs Node)."""
    settings = _settings(host=host, port=port, home=home, demo=demo)
    resolve_name("server.gateway:run")(settings, announce=_announce_gateway)


@app.command()
def worker(home: Home = None) -> None:
    """Run the background work: the relay, the consumers of events, jobs and timers."""
    with _engines(_settings(home=home)) as settings:
        _run(resolve_name("server.worker:run")(settings), code_when_stopped=0)


@app.command()
def demo(home: Home = None) -> None:
    """Load the demo marketplace, unless it is there already."""
    with _engines(_settings(home=home)) as settings:
        _run(resolve_name("server.demo:load")(settings))


@app.command()
def migrate(home: Home = None) -> None:
    """Bring the database up to the newest migration."""
    with _engines(_settings(home=home), migrated=False) as settings:
        resolve_name("data.migrations:upgrade")(settings.database_url)


@app.command(hidden=True)
def prepare(*, demo: bool = True) -> None:
    """Migrate and load the demo, as the first child of serve."""
    settings = _settings()
    resolve_name("data.migrations:upgrade")(settings.database_url)
    if demo:
        _run(resolve_name("server.demo:load")(settings))


@app.command()
def backup(
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="File, folder or URL (s3://…) of a folder.", show_default="in the home"),
    ] = "",
    keep: Annotated[int | None, typer.Option(help="Throw away older dated backups there, but for so many.")] = None,
    passphrase_file: PassphraseFile = None,
    include_secret_key: Annotated[bool, typer.Option("--include-secret-key", help="Encrypted backups only.")] = False,
    home: Home = None,
) -> None:
    """Take a backup while everything goes on."""
    with _engines(_settings(home=home), migrated=False) as settings:
        wanted = resolve_name("server.backup:Wanted")(
            output=output,
            keep=keep,
            passphrase=_passphrase(passphrase_file, settings),
            include_secret_key=include_secret_key,
        )
        taken = resolve_name("server.backup:run")(settings, wanted)
    typer.echo(
        f"{taken.place}: {taken.size_bytes:,} bytes, {taken.manifest.tenants} tenants, up to event {taken.manifest.position}"
    )
    for each in taken.manifest.missing:
        typer.echo(f"agora: {each} is referred to and not there", err=True)
    for each in taken.removed:
        typer.echo(f"Removed {each}")


@app.command()
def restore(
    source: Annotated[str, typer.Argument(help="File or URL of a backup.")],
    into: Annotated[str | None, typer.Option(help="PostgreSQL to restore into.", show_default="DATABASE_URL")] = None,
    force: Annotated[bool, typer.Option("--force", help="Set aside a database that is not empty.")] = False,
    passphrase_file: PassphraseFile = None,
    home: Home = None,
) -> None:
    """Restore a backup; what reaches outside is held back until `agora release`."""
    with _engines(_settings(home=home, database_url=into), migrated=False) as settings:
        restored = resolve_name("server.restoring:run")(
            settings, source, force=force, passphrase=_passphrase(passphrase_file, settings), tell=typer.echo
        )
        if restored.kept:
            typer.echo(f"The database that was there is kept as {restored.kept}; drop it when nobody misses it.")
        with _progress("Rebuilding the search index") as progress:
            _run(resolve_name("server.rebuilding:run")(settings, progress))
    typer.echo("Restored. Jobs, sagas and messages are held back: look around, then `agora release`.")


@app.command("verify-backup")
def verify_backup(
    source: Annotated[str, typer.Argument(help="File or URL of a backup.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Restore a backup into a database of its own, which is thrown away, and check that all in it agrees."""
    verified = resolve_name("server.restoring:verify")(source, _passphrase(passphrase_file, _settings()))
    for rule, found in verified.rules:
        typer.echo(f"{'FAILS' if found else 'holds'}  {rule}{': ' if found else ''}{', '.join(found)}")
    raise typer.Exit(0 if verified.sound else FAILED)


@app.command()
def verify(
    url: Annotated[str, typer.Argument(help="Where the server is, such as https://shop.example.")],
    tenant: Annotated[str | None, typer.Option(help="Code of a tenant.", show_default="by the host")] = None,
) -> None:
    """Try out a deployment from outside: health, reading, refusals, and a hundred requests."""
    tried = _run(resolve_name("server.verifying:run")(url, tenant))
    for each in tried:
        typer.echo(f"{'passed' if each.passed else 'FAILED'}  {each.what}{': ' if each.detail else ''}{each.detail}")
    raise typer.Exit(0 if all(each.passed for each in tried) else FAILED)


@app.command()
def release(
    drop_messages: Annotated[
        bool, typer.Option("--drop-messages", help="Send none of the messages that wait.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
) -> None:
    """Let go on what a restore holds back."""
    with _engines(_settings(home=home)) as settings:
        if resolve_name("data.restorations:held_since")(settings.database_url) is None:
            typer.echo("Nothing is held back.")
            return
        for name, count in vars(resolve_name("data.restorations:waiting")(settings.database_url)).items():
            typer.echo(f"{count:>8,} {name}")
        if yes or typer.confirm("Let them go?", abort=True):
            resolve_name("data.restorations:release")(settings.database_url, drop_messages=drop_messages)
    typer.echo("Released.")


imports = typer.Typer(help="Bring data in from files.", no_args_is_help=True)
app.add_typer(imports, name="import")


@imports.command("products")
def import_products(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL or XLSX, each also .gz.", exists=True, dir_okay=False)],
    store: Annotated[str, typer.Option(help="Code of the store that sells them.")],
    tenant: Annotated[
        str | None, typer.Option(help="Code of the tenant, where the store's code is not enough.")
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option("--map", help="TOML file (or the name of a ready-made one) that maps columns; unset: guessed."),
    ] = None,
    home: Home = None,
) -> None:
    """Import products, variants, prices and stock; rows with errors are listed in a file beside the input."""
    with _engines(_settings(home=home)) as settings, _progress(f"Importing {file.name}") as progress:
        summary = _run(resolve_name("server.importing:run")(settings, file, store, tenant, mapping, progress))
    typer.echo(summary)


audit = typer.Typer(help="The trail of privileged actions.", no_args_is_help=True)
app.add_typer(audit, name="audit")


@audit.command("verify")
def verify_audit(home: Home = None) -> None:
    """Find out whether lines of the trail were changed or removed since they were sealed."""
    with _engines(_settings(home=home)) as settings:
        breaches = _run(resolve_name("server.auditing:verify")(settings))
    for each in breaches:
        typer.echo(f"tenant {each.tenant_id}, seal {each.seal}: {each.fault}", err=True)
    if breaches:
        raise typer.Exit(FAILED)
    typer.echo("The trail is what it was.")


privacy = typer.Typer(help="What is held about people.", no_args_is_help=True)
app.add_typer(privacy, name="privacy")


@privacy.command("seal")
def seal_events(home: Home = None) -> None:
    """Seal what was logged about people before there were keys for them."""
    with _engines(_settings(home=home)) as settings:
        typer.echo(f"Sealed {_run(resolve_name('server.sealing:run')(settings)):,} events.")


@app.command("rebuild-search")
def rebuild_search(home: Home = None) -> None:
    """Rebuild the search index from the database beside the old one, then swap them."""
    with _engines(_settings(home=home)) as settings, _progress("Rebuilding the search index") as progress:
        _run(resolve_name("server.rebuilding:run")(settings, progress))


@app.command()
def schema(
    context: Annotated[str | None, typer.Option(help="One context's subgraph instead of the public schema.")] = None,
    output: Output = None,
) -> None:
    """Print the GraphQL schema."""
    _write(resolve_name("server.schema_files:print_schema")(context), output)


@app.command()
def supergraph(
    output: Output = None,
    url: Annotated[
        str | None,
        typer.Option(help="Where subgraphs are; {context} and {group} stand for their names.", show_default=False),
    ] = None,
) -> None:
    """Compose all subgraphs for a federation router (needs Node)."""
    _write(resolve_name("server.schema_files:compose")(**({"url": url} if url else {})), output)


@app.command("schema-check")
def schema_check(
    against: Annotated[str, typer.Option(help="Revision whose committed public schema clients have.")] = "HEAD",
    documents: Annotated[
        Path | None, typer.Option(help="Manifest of trusted documents: only what they use counts.", exists=True)
    ] = None,
) -> None:
    """Tell which changes of the public schema break clients; schema/breaking.txt lists deliberate ones (needs Node)."""
    if found := resolve_name("server.schema_check:check")(against, documents):
        typer.echo("\n".join(found), err=True)
        raise typer.Exit(FAILED)


@app.command()
def openapi(output: Output = None) -> None:
    """Print the description of the REST API (OpenAPI 3.1)."""
    _write(resolve_name("server.rest.openapi:openapi")(), output)


@app.command()
def doctor(
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Report what is used, what is reachable and what is misconfigured."""
    try:
        settings = _settings(home=home)
    except ValidationError as error:
        typer.echo("\n".join(_lines(error)), err=True)
        raise typer.Exit(FAILED) from error
    raise typer.Exit(0 if resolve_name("server.doctor:report")(settings, as_json=as_json) else FAILED)


# The C library's name for how many heaps the threads of a process may have.
def main() -> None:
    """The `agora` command."""
    share_heaps()
    try:
        app()
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        for line in _lines(error):
            typer.echo(f"agora: {line}", err=True)
        sys.exit(code)


def _exit_code(error: Exception) -> int | None:
    """The exit code of a refusal that a line explains; None for what only a traceback can."""
    names = {kind.__name__ for kind in type(error).__mro__}
    # By name, so that `agora --help` loads neither the engines nor the domain.
    if "HomeInUse" in names:
        return IN_USE
    if names & {"CannotListen", "UnknownContext", "ValidationError"}:
        return WRONG_USE
    return (
        FAILED
        if names & {"EngineError", "BackupError", "NotReady", "DomainError", "CompositionError", "MergeError"}
        else None
    )


def _lines(error: Exception) -> list[str]:
    if not isinstance(error, ValidationError):
        return [str(getattr(error, "message", error))]
    # The place is a field's name when the command line chose the value, else the variable that it came from.
    return [f"{variable(str(part['loc'][0]))}: {part['msg'].removeprefix('Value error, ')}" for part in error.errors()]


def _settings(**chosen: Any) -> Settings:
    """The settings, with what the command line chose above the environment; logs are set up from them."""
    settings = Settings(**{name: value for name, value in chosen.items() if value is not None})
    resolve_name("server.logs:configure")(settings)
    return settings


@contextmanager
def _engines(settings: Settings, *, migrated: bool = True) -> Iterator[Settings]:
    """Settings whose URLs work: of given servers, of the process that serves the home, or of engines started for now."""
    engines = resolve_name("data.embedded:Engines")(
        settings.home, database_url=settings.database_url or None, redis_url=settings.redis_url or None, attach=True
    )
    with engines as endpoints:
        if migrated and not engines.attached and not settings.database_url:
            resolve_name("data.migrations:upgrade")(endpoints.database_url)
        yield settings.with_engines(endpoints.database_url, endpoints.redis_url)


def _run(work: Coroutine[Any, Any, Any], *, code_when_stopped: int = STOPPED) -> Any:
    """Runs a coroutine until it ends or a signal asks it to: then it is cancelled and may clean up."""

    async def until_told() -> Any:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await task

    try:
        return resolve_name("uvloop:run")(until_told())
    except asyncio.CancelledError:
        raise typer.Exit(code_when_stopped) from None


@contextmanager
def _progress(title: str) -> Iterator[Any]:
    """A progress bar: call it with what is done, what there is in all (or None), and optionally a note."""
    rich = resolve_name("rich.progress")
    columns = [rich.TextColumn("{task.description}"), rich.BarColumn(), rich.TaskProgressColumn(show_speed=True)]
    with rich.Progress(*columns, rich.TimeElapsedColumn(), rich.TextColumn("{task.fields[note]}")) as bar:
        task = bar.add_task(title, total=None, note="")

        def show(done: int, total: int | None, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield show


def _passphrase(file: Path | None, settings: Settings) -> str | None:
    return (file.read_text().strip() if file else settings.backup_passphrase) or None


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text, nl=not text.endswith("\n"))
    else:
        output.write_text(text)


def _announce(settings: Settings, engines: Any) -> None:
    """Says that the server is ready, where, and how to stop it."""
    lines = [_ready(settings)]
    if settings.allows("explorer"):
        lines.append("  GraphiQL   open that address in a browser")
    lines.append(
        f"  Data       {settings.home}" + (f" (engines of process {engines.endpoints.pid})" if engines.attached else "")
    )
    typer.echo("\n".join([*lines, *_demo(settings), "  Stop       Ctrl-C"]))


def _announce_part(settings: Settings, engines: Any) -> None:  # noqa: ARG001 — it is told as the whole is.
    typer.echo(_ready(settings) if settings.graph else f"Agora's subgraphs are ready at {settings.url}/subgraphs")


def _announce_gateway(settings: Settings, addresses: dict[str, str]) -> None:
    lines = [_ready(settings), *(f"  {group:<14} {address}" for group, address in addresses.items())]
    typer.echo("\n".join([*lines, f"  Data       {settings.home}", *_demo(settings), "  Stop       Ctrl-C"]))


def _ready(settings: Settings) -> str:
    return f"Agora {installed_version('agora')} is ready at {settings.url}/graphql"


def _demo(settings: Settings) -> list[str]:
    lines = []
    for title, name in (("Demo users", "demo-users.txt"), ("Demo pages", "demo-links.txt")):
        file = settings.home / name
        if settings.allows("demo") and file.exists():
            lines.append(f"  {title}")
            lines += [f"             {line}" for line in file.read_text().splitlines()]
    return lines


if __name__ == "__main__":
    main()

"""index.html of an archive: the evidence in plain words. One page, no script, nothing from elsewhere. Pure.

It is for reading only: `igstats receipt verify` neither reads nor vouches for it, and the page says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from html import escape

from igstats_audit.statements import Kept, LastWord, Statement, final
from igstats_audit.story import Exhibit, Story

_ENDS: Mapping[str, str] = {
    "FULFILLED": "Every service says that it has done what the request asked.",
    "FULFILLED_IN_PART": "The request was carried out as far as the law allows: some data stays for a legal reason.",
    "DENIED": "The request was refused.",
    "WITHDRAWN": "The request was taken back by whoever made it.",
    "EXPIRED": "The request ended because it was never confirmed.",
}
_RIGHTS: Mapping[str, str] = {
    "ERASURE": "Deletion of the person's data",
    "ACCESS": "A copy of the person's data",
    "RESTRICTION": "Keeping the person's data without using it",
    "LIFTING": "End of a restriction",
}
_OUTCOMES: Mapping[str, str] = {
    "ERASED": "held data and erased it",
    "NOT_HELD": "searched and held nothing",
    "RETAINED": "keeps some data for a legal reason",
    "AWAITING_PROCESSOR": "told a company that works for it, which has until the date shown",
    "NEEDS_HUMAN": "could not finish alone; a person had to look",
    "EXPORTED": "handed over a copy of the data",
    "RESTRICTED": "keeps the data without using it",
    "LIFTED": "uses the data again",
    "DONE": "done",
}
_PHASES: Mapping[str, str] = {
    "FENCE": "Refused new data about the person",
    "ERASE": "Erased",
    "SWEEP": "Searched all stores again",
    "ATTEST": "Signed the final statement",
    "EXPORT": "Copied the data",
    "RESTRICT": "Restricted",
    "LIFT": "Lifted the restriction",
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """\
:root { color-scheme: light dark; --line: #8a8f98; --soft: #f3f4f6; --ink: #16181d; --paper: #fff; --mark: #0b57d0 }
@media (prefers-color-scheme: dark) { :root { --soft: #23262c; --ink: #e8eaed; --paper: #16181d; --mark: #a8c7fa } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.6 system-ui, sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem }
p, li { max-width: 44rem }
.end { border-left: .3rem solid var(--mark); background: var(--soft); padding: .9rem 1.1rem; margin: 1.25rem 0 }
.end p { margin: 0 }
.table { overflow-x: auto }
time { white-space: nowrap }
table { border-collapse: collapse; width: 100%; font-size: .975rem }
caption { text-align: left; padding-bottom: .5rem }
th, td { text-align: left; vertical-align: top; padding: .5rem .9rem .5rem 0; border-bottom: 1px solid var(--line) }
thead th { white-space: nowrap }
code { font: .9em/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
pre { background: var(--soft); padding: .8rem 1rem; overflow-x: auto }
dt { font-weight: 600; margin-top: .6rem }
dd { margin: 0; overflow-wrap: anywhere }"""


def page(story: Story) -> str:
    """The page."""
    title = f"Evidence for request {escape(story.request_id)}"
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{title}</title>
<style>
{_STYLE}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{"".join(_sections(story))}</main>
</body>
</html>
"""


def _sections(story: Story) -> Iterator[str]:
    yield _end(story)
    if story.closing.holders:
        yield _holders(story)
        yield _kept(story)
    yield _steps(story)
    yield _meaning()
    yield _log(story)


def _end(story: Story) -> str:
    rights = dict.fromkeys(_RIGHTS.get(one.right, one.right) for one in story.statements)
    asked = f"<p>What was asked: {escape(', '.join(rights))}.</p>\n" if rights else ""
    state = story.closing.state
    told = _ENDS.get(state, "")
    return f"""\
{asked}<div class="end"><p><strong>{escape(told or state)}</strong><br>
It ended on {_time(story.closing.closed_at)} as <code>{escape(state)}</code>.</p></div>
<p>This page is for reading. It repeats what the files beside it say, and no check covers it: to rely on what it says, \
check the files as shown below.</p>
"""


def _holders(story: Story) -> str:
    rows = "".join(_holder(word, story.statements) for word in story.closing.holders)
    return f"""\
<h2>What each service says</h2>
<div class="table" role="region" aria-label="What each service says" tabindex="0">
<table>
<caption>All {len(story.closing.holders)} services that were registered when the request ended.</caption>
<thead><tr><th scope="col">Service</th><th scope="col">It says that it</th><th scope="col">Records</th>\
<th scope="col">Stated on</th><th scope="col">Fully true from</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</div>
"""


def _holder(word: LastWord, statements: Iterable[Statement]) -> str:
    said = final(word, tuple(statements))
    told = _OUTCOMES.get(word.outcome, word.outcome)
    if said is None:
        return _row(word.holder, (escape(told), "no statement is here", "", ""))
    counts = "<br>".join(f"{escape(store)}: {count:,}" for store, count in said.counts) or "none"
    later = _time(said.effective_at) if said.effective_at is not None else "not stated"
    return _row(word.holder, (escape(told), counts, _time(said.executed_at), later))


def _kept(story: Story) -> str:
    finals = [said for word in story.closing.holders if (said := final(word, story.statements)) is not None]
    rows = "".join(_row(said.holder, _kept_cells(one)) for said in finals for one in said.kept)
    if not rows:
        return ""
    return f"""\
<h2>What stays, and why</h2>
<div class="table" role="region" aria-label="What stays, and why" tabindex="0">
<table>
<caption>Data that a service says it must keep.</caption>
<thead><tr><th scope="col">Service</th><th scope="col">Where</th><th scope="col">Fields</th>\
<th scope="col">Reason</th><th scope="col">Records</th><th scope="col">Until</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</div>
"""


def _kept_cells(one: Kept) -> tuple[str, ...]:
    until = _time(one.until) if one.until is not None else "not stated"
    return (escape(one.store), escape(", ".join(one.fields)), escape(one.ground), f"{one.count:,}", until)


def _steps(story: Story) -> str:
    rows = "".join(_step(exhibit) for exhibit in story.exhibits)
    return f"""\
<h2>Everything in the log about this request</h2>
<div class="table" role="region" aria-label="Everything in the log about this request" tabindex="0">
<table>
<caption>{len(story.exhibits)} entries, in the order in which the log took them.</caption>
<thead><tr><th scope="col">Entry</th><th scope="col">From</th><th scope="col">What</th>\
<th scope="col">Records</th><th scope="col">When</th><th scope="col">Place in the log</th></tr></thead>
<tbody>
{rows}</tbody>
</table>
</div>
"""


def _step(exhibit: Exhibit) -> str:
    entry, said = exhibit.entry, exhibit.said
    what = _PHASES.get(said.phase, said.phase) if said is not None else entry.kind
    if entry.kind == "request.closed":
        what = "Closed the request"
    rows = f"{said.row_count:,}" if said is not None else ""
    cells = (escape(entry.producer), escape(what), rows, _time(entry.occurred_at), f"{entry.index:,}")
    return _row(exhibit.number, cells)


def _meaning() -> str:
    return """\
<h2>What this proves</h2>
<ul>
<li>Each statement was signed with the key of the service that it speaks for, and says what it said then.</li>
<li>The log took every statement that is here. None can be changed, back-dated or taken back without breaking the log \
for everyone.</li>
<li>No service was left out: the last entry lists all of them, and each has made every statement that was asked.</li>
</ul>
<h2>What this does not prove</h2>
<ul>
<li>That a service told the truth. It proves who stated what and when.</li>
<li>Whose keys these are: compare those in the folder <code>keys</code> with keys from another source.</li>
<li>That everybody is shown the same log: compare <code>checkpoint/note.txt</code> with one that somebody else has \
kept.</li>
<li>That copies in backups are gone before the date shown.</li>
</ul>
<h2>How to check</h2>
<p>Offline, with a program that asks nobody:</p>
<pre><code>igstats receipt verify FILE.zip</code></pre>
<p>Or by hand, with tools that are not ours: <code>README.txt</code> has the commands.</p>
"""


def _log(story: Story) -> str:
    return f"""\
<h2>The log</h2>
<dl>
<dt>Name</dt><dd><code>{escape(story.origin)}</code></dd>
<dt>Entries that it had when this was made</dt><dd>{story.tree_size:,}</dd>
<dt>Services with keys here</dt><dd>{escape(", ".join(dict.fromkeys(key.holder for key in story.keys)))}</dd>
</dl>
"""


def _row(head: str, cells: Iterable[str]) -> str:
    """A row of a table; the cells are HTML already."""
    return f'<tr><th scope="row">{escape(head)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'


def _time(moment: datetime) -> str:
    machine = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f'<time datetime="{machine}">{moment.day} {moment:%B %Y, %H:%M} UTC</time>'

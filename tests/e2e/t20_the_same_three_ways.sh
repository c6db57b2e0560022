#!/usr/bin/env bash
# Every pattern gives the same verdict, word for word, through a matrix, through libktassert and through `judge`.
. "$(dirname "$0")/lib.sh"

ktjudge=$(dirname "$KT_BIN")/tests/ktjudge
[ -x "$ktjudge" ] || { echo "ktjudge is not built"; exit 77; }

python3 - "$WORK" "$ktjudge" <<'END'
import json, subprocess, sys

work, ktjudge = sys.argv[1:]
# Of every pattern one that holds and one that does not, of one series and of two, with and without values.
assertions = {
    "nondecreasing": ["nondecreasing = true", "series = \"bpf:down\"\nnondecreasing = true\nbridge = true"],
    "strictly_increasing": ["strictly_increasing = true", "series = \"bpf:flat\"\nstrictly_increasing = true"],
    "always_true": ["series = \"bpf:yes\"\nalways_true = true", "series = \"bpf:no\"\nalways_true = true"],
    "each": ["each = { at_least = 1, at_most = 9223372036854775807, ne = 7 }", "each = { between = [0, 9007199254740992] }",
             "each = { gt = 1e3, lt = +inf, eq = 5 }"],
    "rate_within": ["rate_within = { lo = 0, hi = 1e16, per = \"s\" }", "rate_within = { lo = 0.5, hi = 2 }"],
    "steady_within": ["series = \"bpf:flat\"\nsteady_within = { warmup_ms = 0, tol = 0.1 }",
                      "series = \"bpf:down\"\nsteady_within = { warmup_ms = 0, tol = 0.1 }"],
    "converges_to": ["series = \"bpf:flat\"\nconverges_to = { target = 5, tol = 0, deadline_ms = 9000, run = 2, stays = true }",
                     "converges_to = { target = 5, tol = 0, deadline_ms = 9000 }"],
    "ratio_within": ["ratio_within = { other = \"bpf:n\", lo = 1, hi = 1 }", "ratio_within = { other = \"bpf:down\", lo = 1, hi = 2 }"],
    "ratio_across_steps": ["ratio_across_steps = { early = 0, late = 0, at_most = 1 }",
                           "ratio_across_steps = { early = 0, late = 0, at_most = 0.5 }"],
    "eventually": ["eventually = { gt = 9007199254740992, within_ms = 8000 }", "eventually = { lt = 0, within_ms = 5000 }"],
    "always": ["always = { at_least = 1, from_ms = 1_000 }", "always = { eventually = { lt = 0, within_ms = 2000 }, to_ms = 5000 }"],
    "until": ["until = { hold = { lt = 5000 }, then = { gt = 5000 } }", "until = { hold = { lt = 0 }, then = { any_of = [{ gt = 1e18 }, { eq = -1 }] } }"],
}
others = [
    "series = { rate = { of = \"bpf:n\", unit = \"tasks\" } }\neach = { at_least = 0 }",
    "series = { difference = [\"bpf:n\", \"bpf:down\"] }\nnondecreasing = true",
    "any_of = [{ nondecreasing = true }, { each = { lt = 0 } }]\nbecause = \"somebody asked\"",
    "all_of = [{ nondecreasing = true }, { series = \"bpf:down\", each = { lt = 100 } }]\nbecause = 'so'",
    "name = \"moves\"\nmust_progress = true\nmin_samples = 2\nmin_coverage = 0.9",
    "series = \"stats:gone\"\nnondecreasing = true",
    "steps = [0, 0]\neach = { at_most = 1 }",
    "reset = \"epoch\"\nstrictly_increasing = true",
]
table = subprocess.run([ktjudge, "patterns"], check=True, text=True, capture_output=True).stdout.split()
missing = set(table) ^ set(assertions)
assert not missing, f"patterns without a case here, or the other way round: {missing}"
texts = [text if "series =" in text.split("\n")[0] else 'series = "bpf:n"\n' + text for list_ in assertions.values() for text in list_]
texts += [text if text.startswith("series") else 'series = "bpf:n"\n' + text for text in others]

head = '''[sweep]
name = "ways"
[[kernel]]
name = "any"
path = "/nonexistent/vmlinuz"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[topology]]
name = "small"
cpus = "1n1l2c1t"
'''
script = ("sample bpf.n=1000 bpf.down=100 bpf.flat=5 bpf.yes=true bpf.no=true; "
          "sample bpf.n=9007199254740992 bpf.down=50 bpf.flat=5 bpf.yes=true bpf.no=false; "
          "sample bpf!unmapped; sample bpf.n=9007199254740993 bpf.down=60 bpf.flat=5 bpf.yes=true bpf.no=true")
with open(f"{work}/ways.toml", "w") as file:
    file.write(head)
    for i, text in enumerate(texts):
        file.write(f'[[scenario]]\nname = "s{i}"\nduration = "10s"\nsamples = 4\nscript = "{script}"\n'
                   f'[[scenario.step]]\nhold = "full"\n[[scenario.assert]]\n{text}\n')

def run(*args):
    return subprocess.run(args, text=True, capture_output=True)

def details(json_details):
    return sorted((d["outcome"], d["kind"], d.get("assertion", ""), d["text"]) for d in json_details)

done = run("ktcoord", f"{work}/ways.toml", "--runner", "scripted")
assert done.returncode == 1, done.stdout + done.stderr
by_matrix = {cell["name"]: cell for cell in json.loads(run("ktcoord", "report", "last", "--json").stdout)["cells"]}
assert run("ktcoord", "judge", "last").returncode == 1
again = {cell["name"]: cell for cell in json.loads(run("ktcoord", "report", "last", "--json").stdout)["cells"]}
seen = set()
for i, text in enumerate(texts):
    name = f"s{i}/any/scx_kt/small#0"
    by_hand = run("ktcoord", "show", "last", name, "--series", f"{work}/one.series")
    assert by_hand.returncode == 0, by_hand.stderr
    by_library = run(ktjudge, f"{work}/one.series", text)
    assert by_library.returncode == 0, f"{text}: {by_library.stderr}"
    library = sorted(tuple(line.split("\t")) for line in by_library.stdout.splitlines())
    matrix = details(by_matrix[name]["details"])
    assert matrix == library, f"{text}:\nmatrix  {matrix}\nlibrary {library}"
    assert matrix == details(again[name]["details"]), f"{text}: judge says something else"
    assert again[name]["judgement"] == 1 and by_matrix[name]["judgement"] == 0
    seen.add((text.split("\n")[-1].split(" ")[0], by_matrix[name]["outcome"]))
print(f"{len(texts)} assertions, {len(table)} patterns: the same three ways")
for pattern in table:
    outcomes = {outcome for key, outcome in seen if key == pattern}
    assert "fail" in outcomes or pattern in ("nondecreasing",), f"{pattern}: {outcomes}: no case that fails"
assert {outcome for _, outcome in seen} >= {"pass", "fail", "inconclusive"}, seen
END
nothing_left

"""Are two sets of measurements apart? Exact where that is affordable, without assumptions about the distributions.

Both tests are permutation tests on what was measured: ties are taken as they are, nothing is broken up at random.

    Mann-Whitney U          does one set lie higher than the other?
    the same of distances   does one set lie farther from the middle of both? (spread)
    Kolmogorov-Smirnov      do they differ in any way?
    Cliff's delta           by how much: P(b > a) - P(b < a), from -1 to 1
    Holm                    many tests, one chance in 1/alpha that any of them cries wolf

Cliff's delta is called small below 0.33 (Romano et al. 2006: negligible below 0.147, small below 0.33, medium
below 0.474).
"""
import functools
import math
import statistics

EXACT_MAX = 120  # measurements in all; beyond, Mann-Whitney is approximated by the normal distribution


def doubled_ranks(pooled):
    """Twice the rank of each value (ties share the mean of theirs): integers."""
    order = sorted(range(len(pooled)), key=pooled.__getitem__)
    ranks = [0] * len(pooled)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and pooled[order[last + 1]] == pooled[order[first]]:
            last += 1
        for at in range(first, last + 1):
            ranks[order[at]] = first + last + 2
        first = last + 1
    return ranks


@functools.lru_cache(maxsize=256)
def ways_by_sum(ranks, m):
    """How many of the choices of m ranks (a sorted tuple) have each sum. A polynomial per size of choice, as one integer with a field
    of `width` bits per sum: adding ranks is shifting.
    """
    width = math.comb(len(ranks), m).bit_length() + 1
    sizes = [1] + [0] * m
    for taken, rank in enumerate(ranks, 1):
        for k in range(min(taken, m), 0, -1):
            sizes[k] += sizes[k - 1] << (width * rank)
    field = (1 << width) - 1
    ways, bits = {}, sizes[m].bit_length()
    raw = sizes[m].to_bytes(bits // 8 + 1, "little")
    for total in range(bits // width + 1):
        begin = total * width
        piece = int.from_bytes(raw[begin // 8:(begin + width + 7) // 8 + 1], "little") >> (begin % 8) & field
        if piece:
            ways[total] = piece
    return ways


def mann_whitney(a, b):
    """The two-sided p: the share of all ways to deal out the pooled values that lie at least as far from the middle."""
    m, n = len(a), len(b)
    ranks = doubled_ranks(list(a) + list(b))
    middle = m * (m + n + 1)  # of the doubled rank sum of a
    far = abs(sum(ranks[:m]) - middle)
    if m + n <= EXACT_MAX:
        ways = ways_by_sum(tuple(sorted(ranks)), m)
        return sum(w for total, w in ways.items() if abs(total - middle) >= far) / math.comb(m + n, m)
    mean = sum(ranks) / (m + n)
    variance = m * n / (m + n - 1) * sum((r - mean) ** 2 for r in ranks) / (m + n)
    if variance == 0:
        return 1.0
    return math.erfc(max(far - 1, 0) / math.sqrt(2 * variance))


def kolmogorov_smirnov(a, b):
    """D, and its exact p: the share of lattice paths from (0, 0) to (m, n) that come as far from the diagonal. A path
    is looked at only where a group of tied values ends.
    """
    m, n = len(a), len(b)
    pooled = sorted([(x, 0) for x in a] + [(x, 1) for x in b])
    ends = [False] + [i + 1 == len(pooled) or pooled[i][0] != pooled[i + 1][0] for i in range(len(pooled))]
    seen, furthest = [0, 0], 0
    for i, (_, which) in enumerate(pooled, 1):
        seen[which] += 1
        if ends[i]:
            furthest = max(furthest, abs(seen[0] * n - seen[1] * m))
    if furthest == 0:
        return 0.0, 1.0
    near = [0] * (n + 1)  # paths to (i, j) that stay nearer than furthest
    for i in range(m + 1):
        for j in range(n + 1):
            paths = 1 if i == j == 0 else (near[j] if i else 0) + (near[j - 1] if j else 0)
            near[j] = 0 if ends[i + j] and abs(i * n - j * m) >= furthest else paths
    ways = math.comb(m + n, m)
    return furthest / (m * n), (ways - near[n]) / ways


def cliffs_delta(a, b):
    """1: every b is higher than every a."""
    above = sum((y > x) - (y < x) for x in a for y in b)
    return above / (len(a) * len(b))


def distances(a, b):
    """Both as distances from the middle of all of them."""
    middle = statistics.median(list(a) + list(b))
    return [abs(x - middle) for x in a], [abs(y - middle) for y in b]


def least_p(m, n):
    """The smallest p that m and n values without ties can have."""
    return min(1.0, 2 / math.comb(m + n, m)) if m and n else 1.0


def holm(ps):
    """Each p as it counts among all of them: refused at alpha when it is below alpha."""
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted

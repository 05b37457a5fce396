"""Bar charts as SVG, without a library. No background and greys in the middle: readable on light and on dark."""
from xml.sax.saxutils import escape

COLOURS = {"gantry": "#3b8eea", "gantry-oci": "#3b8eea", "containerd": "#d08770", "runc": "#d08770",
           "crun": "#c9a227", "floor": "#8a8a8a"}
TEXT = "#768390"
WIDTH, LABEL, ROW, TOP = 560, 150, 24, 40


def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def bar_chart(title, subtitle, bars):
    """`bars`: (label, contestant, median, low, high). Whiskers go from low to high."""
    largest = max((bar[4] for bar in bars), default=1) or 1
    scale = (WIDTH - LABEL - 90) / largest
    height = TOP + ROW * len(bars) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{TEXT}">',
        f'<text x="4" y="15" font-size="14" font-weight="bold">{escape(title)}</text>',
        f'<text x="4" y="31" font-size="11">{escape(subtitle)}</text>']
    for index, (label, contestant, median, low, high) in enumerate(bars):
        y = TOP + ROW * index
        middle = y + ROW / 2 - 2
        parts.append(f'<text x="{LABEL - 8}" y="{middle + 4:.0f}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect x="{LABEL}" y="{y + 2}" width="{max(1, median * scale):.1f}" height="{ROW - 8}" '
                     f'fill="{COLOURS.get(contestant, TEXT)}"/>')
        if high > low:
            parts.append(f'<path d="M{LABEL + low * scale:.1f} {middle}H{LABEL + high * scale:.1f}" stroke="{TEXT}"/>')
        parts.append(f'<text x="{LABEL + max(median, high) * scale + 6:.1f}" y="{middle + 4:.0f}">'
                     f'{number(median)}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"

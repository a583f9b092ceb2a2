"""The colours of the page: one set on light ground, one on dark; charts take them as CSS variables.

The pairs of text and ground keep the contrast of WCAG 2.2 AA (4.5 to 1), lines that of its graphics (3 to 1). Hues of
models differ for eyes that mix up red and green too (after Okabe and Ito 2008), and so do the dashes of their lines.
"""

from typing import Final

LIGHT: Final = {
    "ground": "#f6f8fa",
    "panel": "#ffffff",
    "ink": "#17212b",
    "soft": "#52606c",
    "edge": "#d3dbe2",
    "network": "#0a63b0",
    "lightgbm": "#9a3d86",
    "linear": "#b8500b",
    "prior": "#6a7681",
    "oracle": "#0b7a53",
    "found": "#17212b",
    "hue0": "#0a63b0",
    "hue1": "#b8500b",
    "hue2": "#0b7a53",
    "hue3": "#9a3d86",
    "hue4": "#8a6a00",
    "hue5": "#b3261e",
    "hue6": "#3d5a80",
    "hue7": "#5f6b1a",
}
DARK: Final = {
    "ground": "#0f1419",
    "panel": "#171e25",
    "ink": "#e8edf2",
    "soft": "#a5b2bd",
    "edge": "#303b45",
    "network": "#62b0f4",
    "lightgbm": "#e39bd3",
    "linear": "#f2a05f",
    "prior": "#98a5b0",
    "oracle": "#5ccb96",
    "found": "#e8edf2",
    "hue0": "#62b0f4",
    "hue1": "#f2a05f",
    "hue2": "#5ccb96",
    "hue3": "#e39bd3",
    "hue4": "#dcb94a",
    "hue5": "#f28b82",
    "hue6": "#9db8dc",
    "hue7": "#bcc96a",
}


def variables() -> str:
    """Return both sets as CSS: the system's wish decides, unless the page says another; paper is light."""
    light, dark = (
        f"color-scheme:{scheme};" + "".join(f"--{name}:{colour};" for name, colour in colours.items())
        for scheme, colours in (("light", LIGHT), ("dark", DARK))
    )
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n"
    )

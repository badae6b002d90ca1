"""Draws the things that weft-mini knows: Noto Color Emoji glyphs with their CLDR names.

Reads the Debian packages fonts-noto-color-emoji and unicode-cldr-core, writes OUT/glyphs.npz
(sprites [G, 80, 80, 4] uint8, straight alpha) and OUT/names.json ([char, English, Chinese] per glyph).
"""

import json
import sys
import xml.etree.ElementTree as xml

import numpy
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
NAMES = "/usr/share/unicode/cldr/common/annotations/{}.xml"
SIDE = 80  # pixels of a stored sprite; the font's own bitmaps are 136 x 128 at size 109

# One code point each, chosen to look different from one another at 50 pixels.
THINGS = """
🐵🐶🦊🐱🦁🐯🐴🦄🐮🐷🐑🐪🦒🐘🦛🐹🐰🦔🦇🐻🐨🐼🦥🦘🦃🐔🐦🐧🦆🦩🦚🐸🐊🐢🦎🐍🦕🐳🐬🐟🐠🦈🐙🐚🐌🦋🐜🐝🐞
💐🌸🌹🌻🌷🌲🌴🌵🍀🍁🍄
🍇🍉🍊🍋🍌🍍🥭🍎🍐🍒🍓🥝🍅🥥🥑🍆🥔🥕🌽🥦🍞🥐🥨🥞🧀🥩🍔🍟🍕🌭🌮🍳🍿🍙🍣🍤🦀🦞🦐🦑🍦🍩🍪🎂🍰🍫🍭🍯🍼🥛☕🍹🍺
🌍🧭🌋🏠🏰🗼🗽⛲⛺🎡🎪🚂🚌🚑🚕🚗🚜🚲🚦🛑⚓⛵🚢✈🚁🚀🛸⏰⏳
🌙⭐🌞☁🌈☂⛄⚡🔥💧
🎃🎄🎈🎁🏆⚽⚾🏀🏈🎾🎳🥊🎯🔮🎮🎲🧩🧸🎨🧵👓👕👗👠👑🎩💍💎
🔔🎷🎸🎹🎺🎻🥁📱☎🔋💻🎥📺📷💡📕💰✉✏📌✂🔒🔑🔨🪓🏹🛡🧲🔬🔭💉🚪🚽🛁🧹🧯
👻👽🤖💩👀👄🦷❤💔💣🗿😀😎🤡
"""


def cldr(language):
    """Short names by character, from the annotations of one language."""
    root = xml.parse(NAMES.format(language)).getroot()
    return {a.get("cp"): a.text for a in root.iter("annotation") if a.get("type") == "tts"}


def sprite(char, font):
    """The glyph, trimmed to its ink and centred in a square with a thin empty border."""
    page = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(page).text((10, 10), char, font=font, embedded_color=True)
    box = page.getchannel("A").getbbox()
    if box is None:
        raise SystemExit(f"glyphs.py: {FONT} draws nothing for U+{ord(char):X}: take it out of THINGS")
    ink = page.crop(box)
    side = max(ink.size) + 4
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    return numpy.asarray(square.resize((SIDE, SIDE), Image.LANCZOS))


def main(out):
    font = ImageFont.truetype(FONT, 109)
    english, chinese = cldr("en"), cldr("zh")
    chars = list(dict.fromkeys(c for c in THINGS if not c.isspace()))
    names = []
    for c in chars:
        if c not in english or c not in chinese:
            raise SystemExit(f"glyphs.py: no CLDR name for U+{ord(c):X} {c}: take it out of THINGS")
        names.append([c, english[c], chinese[c]])
    for column in (1, 2):
        seen = [n[column] for n in names]
        twice = {n for n in seen if seen.count(n) > 1}
        if twice:
            raise SystemExit(f"glyphs.py: names used twice: {twice}")
    sprites = numpy.stack([sprite(c, font) for c in chars])
    numpy.savez_compressed(f"{out}/glyphs.npz", sprites=sprites)
    with open(f"{out}/names.json", "w", encoding="utf-8") as f:
        json.dump(names, f, ensure_ascii=False, indent=0)
    print(f"{len(chars)} things -> {out}/glyphs.npz")


if __name__ == "__main__":
    main(sys.argv[1])

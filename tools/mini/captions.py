"""The language of weft-mini: what a clip can show, and the English and Chinese sentences that say it.

A scene is a plain tuple ((glyph, motion), ...), background: indices into names.json, MOTIONS and BACKGROUNDS.
"""

# name: (English finite, English -ing, Chinese), each with alternatives
MOTIONS = {
    "still": (["stands still", "rests"], ["standing still", "resting"], ["静止不动", "停着"]),
    "left": (["moves left", "moves to the left", "slides left"], ["moving left", "sliding to the left"], ["向左移动", "往左移动", "向左滑动"]),
    "right": (["moves right", "moves to the right", "slides right"], ["moving right", "sliding to the right"], ["向右移动", "往右移动", "向右滑动"]),
    "up": (["moves up", "rises", "floats up"], ["moving up", "rising"], ["向上移动", "升起", "往上移动"]),
    "down": (["moves down", "falls", "sinks down"], ["moving down", "falling"], ["向下移动", "落下", "往下移动"]),
    "bounce": (["bounces", "jumps up and down"], ["bouncing", "jumping"], ["弹跳", "跳来跳去"]),
    "spin": (["rotates", "spins", "turns around"], ["rotating", "spinning"], ["旋转", "转动"]),
    "grow": (["grows", "gets bigger"], ["growing", "getting bigger"], ["变大", "长大"]),
    "shrink": (["shrinks", "gets smaller"], ["shrinking", "getting smaller"], ["变小", "缩小"]),
    "circle": (["circles", "moves in a circle"], ["circling", "moving in a circle"], ["绕圈", "转圈移动"]),
    "shake": (["shakes", "trembles"], ["shaking", "trembling"], ["抖动", "颤抖"]),
    "swing": (["swings", "rocks from side to side"], ["swinging", "rocking"], ["摇摆", "左右摇晃"]),
    "fade in": (["fades in", "appears"], ["fading in", "appearing"], ["淡入", "慢慢出现"]),
    "fade out": (["fades out", "disappears"], ["fading out", "disappearing"], ["淡出", "慢慢消失"]),
}
MOTION_KEYS = list(MOTIONS)
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}

# name: (red, green, blue), Chinese
COLOURS = {
    "red": ((0.85, 0.18, 0.18), "红色"),
    "orange": ((0.95, 0.58, 0.15), "橙色"),
    "yellow": ((0.98, 0.86, 0.30), "黄色"),
    "green": ((0.25, 0.65, 0.30), "绿色"),
    "blue": ((0.20, 0.40, 0.85), "蓝色"),
    "purple": ((0.52, 0.28, 0.72), "紫色"),
    "pink": ((0.97, 0.66, 0.78), "粉色"),
    "brown": ((0.50, 0.33, 0.20), "棕色"),
    "white": ((0.96, 0.96, 0.96), "白色"),
    "grey": ((0.55, 0.56, 0.58), "灰色"),
    "black": ((0.08, 0.08, 0.09), "黑色"),
    "turquoise": ((0.25, 0.78, 0.76), "青色"),
}
COLOUR_KEYS = list(COLOURS)
# name: English, Chinese; {} is the colour
PATTERNS = {
    "plain": (["a {} background", "a plain {} background"], ["{}背景", "纯{}背景"]),
    "gradient": (["a {} gradient", "a {} gradient background"], ["{}渐变背景"]),
    "stripes": (["{} stripes", "a {} striped background"], ["{}条纹背景"]),
    "dots": (["{} dots", "a {} dotted background"], ["{}圆点背景"]),
    "checks": (["a {} checkerboard", "a {} checkered background"], ["{}棋盘格背景"]),
}
PATTERN_KEYS = list(PATTERNS)
SCENES = {
    "meadow": (["a meadow", "a green meadow under a blue sky"], ["草地"]),
    "sea": (["the sea", "a blue sea"], ["大海"]),
    "night": (["the night sky", "a starry night sky"], ["夜空", "星空"]),
    "desert": (["a desert", "a sandy desert"], ["沙漠"]),
    "sunset": (["a sunset", "a sunset sky"], ["日落天空", "晚霞"]),
    "snow": (["a snowy field", "snow"], ["雪地"]),
}
SCENE_KEYS = list(SCENES)
# (pattern, colour) pairs first, then the scenes
BACKGROUNDS = [(p, c) for p in PATTERN_KEYS for c in COLOUR_KEYS] + [(s, None) for s in SCENE_KEYS]

# everyday words that CLDR says differently
ALIASES_EN = {"automobile": "car", "hamburger": "burger", "soft ice cream": "ice cream", "honeybee": "bee",
              "lady beetle": "ladybug", "spouting whale": "whale", "hippopotamus": "hippo", "evergreen tree": "tree",
              "hot beverage": "coffee", "locomotive": "steam train", "droplet": "water drop", "high voltage": "lightning",
              "wrapped gift": "gift", "soccer ball": "football", "sun with face": "sun", "crescent moon": "moon",
              "sauropod": "dinosaur", "red apple": "apple", "closed book": "book", "red heart": "heart",
              "globe showing Europe-Africa": "globe", "snowman without snow": "snowman", "birthday cake": "cake",
              "hourglass not done": "hourglass", "flying saucer": "UFO", "vertical traffic light": "traffic light"}
ALIASES_ZH = {"长颈鹿": "长颈鹿", "红苹果": "苹果", "圆筒冰激凌": "冰淇淋", "喷水的鲸": "鲸鱼", "微笑的太阳": "太阳",
              "弯月": "月亮", "地球上的欧洲非洲": "地球", "沙正往下流的沙漏": "沙漏", "合上的书本": "书", "欧洲城堡": "城堡",
              "蒸汽火车": "火车", "龟": "乌龟", "蟹": "螃蟹", "鬼": "幽灵", "热饮": "咖啡", "高压": "闪电", "生日蛋糕": "蛋糕",
              "纵向的红绿灯": "红绿灯", "蜥蜴类": "恐龙", "笔记本电脑": "电脑", "嘿嘿": "笑脸", "热带水果饮料": "果汁"}


def held_out(glyph, motion, background):
    """Combinations that training never shows; the scores are measured on them."""
    return (glyph + 3 * motion + 5 * background) % 11 == 0


def name_en(name, rng):
    if name in ALIASES_EN and rng.random() < 0.4:
        return ALIASES_EN[name]
    if name.endswith(" face") and rng.random() < 0.4:
        return name[: -len(" face")]
    return name


def thing_en(name, rng):
    name = name_en(name, rng)
    r = rng.random()
    if r < 0.15:
        return name
    if r < 0.30:
        return "the " + name
    return ("an " if name[0].lower() in "aeiou" and not name.startswith(("ewe", "UFO")) else "a ") + name


def thing_zh(name, rng, joint):
    if name in ALIASES_ZH and rng.random() < 0.4:
        name = ALIASES_ZH[name]
    elif len(name) > 1 and name[-1] in "头脸" and rng.random() < 0.4:
        name = name[:-1]
    return rng.choice(["", "", "一个", "一个", "一只"]) + joint + name + joint


def background_en(index, rng):
    kind, colour = BACKGROUNDS[index]
    return rng.choice(SCENES[kind][0]) if colour is None else rng.choice(PATTERNS[kind][0]).format(colour)


def background_zh(index, rng, joint):
    kind, colour = BACKGROUNDS[index]
    if colour is None:
        return joint + rng.choice(SCENES[kind][1]) + joint
    return joint + rng.choice(PATTERNS[kind][1]).format(joint + COLOURS[colour][1] + joint) + joint


def english(names, things, background, rng):
    b = rng.choice(["on ", "on ", "on ", "in front of "]) + background_en(background, rng)
    nouns = [thing_en(names[g][1], rng) for g, _ in things]
    finite = [rng.choice(MOTIONS[MOTION_KEYS[m]][0]) for _, m in things]
    ing = [rng.choice(MOTIONS[MOTION_KEYS[m]][1]) for _, m in things]
    style = rng.random()
    if len(things) == 1:
        if style < 0.5:
            text = f"{nouns[0]} {finite[0]} {b}"
        elif style < 0.7:
            text = f"{nouns[0]} {ing[0]} {b}"
        elif style < 0.85:
            text = f"{b}, {nouns[0]} {finite[0]}"
        else:
            text = f"{nouns[0]} {b}, {ing[0]}"
    elif style < 0.4:
        text = f"{nouns[0]} {finite[0]} and {nouns[1]} {finite[1]} {b}"
    elif style < 0.6:
        text = f"{nouns[0]} {ing[0]} and {nouns[1]} {ing[1]} {b}"
    elif style < 0.8:
        text = f"on the left {nouns[0]} {finite[0]}, on the right {nouns[1]} {finite[1]}, {b}"
    else:
        text = f"{b}, {nouns[0]} {finite[0]} and {nouns[1]} {finite[1]}"
    if rng.random() < 0.3:
        text = text[0].upper() + text[1:]
    return text + ("." if rng.random() < 0.2 else "")


def chinese(names, things, background, rng, joint=""):
    """joint: put between words, for the tokenizer's training."""
    b = background_zh(background, rng, joint)
    nouns = [thing_zh(names[g][2], rng, joint) for g, _ in things]
    moves = [joint + rng.choice(MOTIONS[MOTION_KEYS[m]][2]) + joint for _, m in things]
    style = rng.random()
    comma = rng.choice(["，", ","])
    if len(things) == 1:
        if style < 0.4:
            text = f"{nouns[0]}在{b}上{moves[0]}"
        elif style < 0.8:
            text = f"{b}上{comma}{nouns[0]}{moves[0]}"
        else:
            text = f"{nouns[0]}{moves[0]}{comma}{b}"
    elif style < 0.4:
        text = f"{nouns[0]}{moves[0]}和{nouns[1]}{moves[1]}{comma}{b}"
    elif style < 0.7:
        text = f"{b}上{comma}{nouns[0]}{moves[0]}{comma}{nouns[1]}{moves[1]}"
    else:
        text = f"左边{nouns[0]}{moves[0]}{comma}右边{nouns[1]}{moves[1]}{comma}{b}"
    return text + ("。" if rng.random() < 0.2 else "")


def draw_scene(n_glyphs, rng, two=0.3):
    """A random scene outside the held-out set."""
    count = 2 if rng.random() < two else 1
    glyphs = rng.sample(range(n_glyphs), count)
    things = tuple((g, rng.randrange(len(MOTION_KEYS))) for g in glyphs)
    background = rng.randrange(len(BACKGROUNDS))
    while any(held_out(g, m, background) for g, m in things):
        background = rng.randrange(len(BACKGROUNDS))
    return things, background


def draw_held_out(n_glyphs, rng, motions=None):
    """A random one-thing scene of the held-out set."""
    while True:
        glyph, motion = rng.randrange(n_glyphs), rng.randrange(len(MOTION_KEYS))
        if motions is not None:
            motion = MOTION_KEYS.index(rng.choice(motions))
        background = rng.randrange(len(BACKGROUNDS))
        if held_out(glyph, motion, background):
            return ((glyph, motion),), background

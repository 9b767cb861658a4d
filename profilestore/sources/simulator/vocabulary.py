"""The invented world: categories and their words, brands, countries, names, money, small talk.

Every character outside the social texts and the searches exists in Windows-1252, and none needs an
escape in JSON or a quote in CSV, so that lines can be joined from pieces.
"""

from __future__ import annotations

from typing import NamedTuple

LANGUAGES = ("en", "de", "fr", "zh")
WORDS = 4
"""Words of a category in each language."""

USD = {"USD": 1.0, "EUR": 1.08, "GBP": 1.27, "CNY": 0.139, "JPY": 0.0067}
"""Units of US dollars for one unit; constant over the span."""
CURRENCIES = tuple(USD)


class Category(NamedTuple):
    """A category: `words` are four in each of `LANGUAGES`, `dollars` a usual price."""

    path: str
    dollars: float
    words: tuple[str, str, str, str]


CATEGORIES = tuple(
    Category(path, dollars, (english, german, french, chinese))
    for path, dollars, english, german, french, chinese in (
        ("Outdoor > Tents", 180, "tent groundsheet pole awning", "Zelt Zeltplane Gestänge Vordach",
         "tente bâche arceau auvent", "帐篷 地布 支架 天幕"),
        ("Outdoor > Backpacks", 90, "backpack rucksack daypack strap",
         "Rucksack Tagesrucksack Tragegurt Hüftgurt", "sac bretelle randonnée ceinture",
         "背包 登山包 肩带 腰带"),
        ("Outdoor > Climbing", 70, "rope carabiner harness chalk",
         "Seil Karabiner Klettergurt Magnesia", "corde mousqueton baudrier magnésie",
         "绳索 安全扣 攀岩 镁粉"),
        ("Sports > Running", 85, "running trainers marathon stopwatch",
         "Laufschuh Marathon Stoppuhr Laufhose", "course marathon foulée chronomètre",
         "跑鞋 马拉松 秒表 慢跑"),
        ("Sports > Cycling", 140, "bicycle saddle pedal derailleur",
         "Fahrrad Sattel Pedal Schaltwerk", "vélo selle pédale dérailleur",
         "自行车 车座 踏板 变速器"),
        ("Sports > Yoga", 40, "yoga mat bolster stretching",
         "Yogamatte Gymnastikball Dehnung Atmung", "yoga tapis étirement respiration",
         "瑜伽 垫子 拉伸 呼吸"),
        ("Home > Lamps", 60, "lamp lampshade bulb dimmer", "Lampe Lampenschirm Glühbirne Leuchte",
         "lampe ampoule éclairage variateur", "台灯 灯罩 灯泡 照明"),
        ("Home > Bedding", 75, "pillow duvet mattress linen", "Kissen Bettdecke Matratze Leinen",
         "oreiller couette matelas drap", "枕头 被子 床垫 床单"),
        ("Home > Storage", 45, "shelf basket drawer wardrobe", "Regal Korb Schublade Schrank",
         "étagère panier tiroir armoire", "架子 篮子 抽屉 衣柜"),
        ("Kitchen > Knives", 65, "knife blade whetstone cleaver",
         "Messer Klinge Wetzstein Hackbeil", "couteau lame affûtage couperet",
         "刀具 刀刃 磨刀石 菜刀"),
        ("Kitchen > Coffee", 120, "coffee espresso grinder roast", "Kaffee Espresso Mühle Röstung",
         "café expresso moulin torréfaction", "咖啡 浓缩 磨豆机 烘焙豆"),
        ("Kitchen > Baking", 35, "flour oven sourdough whisk",
         "Mehl Backofen Sauerteig Schneebesen", "farine levain fouet pâtisserie",
         "面粉 烤箱 酵母 打蛋器"),
        ("Electronics > Headphones", 150, "headphones earbuds noise bass",
         "Kopfhörer Ohrhörer Geräusch Tiefton", "casque écouteurs bruit basses",
         "耳机 耳塞 降噪 低音"),
        ("Electronics > Cameras", 420, "camera lens tripod shutter",
         "Kamera Objektiv Stativ Verschluss", "caméra objectif trépied obturateur",
         "相机 镜头 三脚架 快门"),
        ("Electronics > Keyboards", 95, "keyboard keycap switches typing",
         "Tastatur Tastenkappe Schalter Tippen", "clavier touche frappe raccourci",
         "键盘 键帽 轴体 打字"),
        ("Garden > Seeds", 12, "seeds seedling tomato basil", "Saatgut Setzling Tomate Basilikum",
         "semences semis tomate basilic", "种子 幼苗 番茄 罗勒"),
        ("Garden > Tools", 38, "spade rake secateurs hose", "Spaten Rechen Gartenschere Schlauch",
         "bêche râteau sécateur tuyau", "铁锹 耙子 剪枝 水管"),
        ("Garden > Grills", 210, "grill charcoal barbecue tongs", "Grill Holzkohle Grillrost Zange",
         "barbecue charbon grille pince", "烧烤 木炭 烤架 夹子"),
        ("Books > Crime", 16, "detective murder inspector clue", "Kommissar Mord Krimi Spur",
         "enquête meurtre commissaire indice", "侦探 谋杀 推理 线索"),
        ("Books > History", 24, "empire medieval archive dynasty",
         "Kaiserreich Mittelalter Archiv Epoche", "empire médiéval archives dynastie",
         "帝国 中世纪 档案 王朝"),
        ("Books > Poetry", 18, "poem sonnet verse ballad", "Gedicht Sonett Vers Ballade",
         "poème sonnet strophe ballade", "诗歌 十四行诗 韵文 民谣"),
        ("Toys > Puzzles", 28, "puzzle jigsaw riddle cube", "Puzzle Rätsel Würfel Denkspiel",
         "puzzle énigme cube devinette", "拼图 谜语 魔方 益智"),
        ("Toys > Trains", 110, "locomotive railway wagon signal",
         "Lokomotive Eisenbahn Waggon Signal", "locomotive rails wagon aiguillage",
         "火车 铁轨 车厢 信号灯"),
        ("Toys > Plush", 22, "plush teddy bunny cuddly", "Plüsch Teddy Hase Kuscheltier",
         "peluche ourson lapin doudou", "毛绒 泰迪 兔子 玩偶"),
    )
)  # fmt: skip

GROUPS = tuple(dict.fromkeys(one.path.split(" > ")[0] for one in CATEGORIES))
BRANDS_PER_GROUP = 5


class Brand(NamedTuple):
    """A brand sells in all categories of its group; its catalogue prices are in `currency`."""

    name: str
    currency: str
    words: tuple[str, str]


BRANDS = tuple(
    Brand(name, currency, (first, second))
    for name, currency, first, second in (
        ("Nordvik", "EUR", "featherlight", "stormproof"), ("Brisélan", "EUR", "alpine", "seamless"),
        ("Talamera", "USD", "rugged", "trailborn"), ("Quillbeck", "GBP", "waxed", "moorland"),
        ("Shanhu", "CNY", "foldable", "summit"),
        ("Velotide", "USD", "windproof", "reflective"), ("Läufting", "EUR", "cushioned", "springy"),
        ("Kestrane", "GBP", "carbon", "competition"), ("Hayaori", "JPY", "balanced", "quick"),
        ("Pulsera", "USD", "breathable", "stretchy"),
        ("Hüttenlicht", "EUR", "warm", "oaken"), ("Maisonelle", "EUR", "linen", "pastel"),
        ("Oakhamly", "GBP", "handmade", "walnut"), ("Driftwell", "USD", "washable", "coastal"),
        ("Yunzhai", "CNY", "bamboo", "modular"),
        ("Kupferle", "EUR", "copper", "hammered"), ("Sakamine", "JPY", "forged", "layered"),
        ("Panetière", "EUR", "stoneware", "rustic"), ("Brewhollow", "USD", "insulated", "precise"),
        ("Larderby", "GBP", "enamel", "stackable"),
        ("Aurisonde", "EUR", "wireless", "studio"), ("Lumavex", "USD", "optical", "weathersealed"),
        ("Keyzora", "USD", "mechanical", "backlit"), ("Tonebaru", "JPY", "compact", "magnesium"),
        ("Xingpu", "CNY", "rechargeable", "slim"),
        ("Grünfink", "EUR", "organic", "heirloom"), ("Potagière", "EUR", "perennial", "fragrant"),
        ("Spadewright", "GBP", "galvanised", "ashwood"), ("Emberdale", "USD", "smoky", "castiron"),
        ("Tianyuan", "CNY", "telescopic", "rustproof"),
        ("Inkmoor", "GBP", "clothbound", "annotated"), ("Falterdruck", "EUR", "printed", "pocket"),
        ("Plumérode", "EUR", "translated", "collected"), ("Lanternpress", "USD", "signed", "rare"),
        ("Mozhu", "CNY", "bilingual", "calligraphic"),
        ("Klötzli", "EUR", "wooden", "colourful"), ("Ribambelle", "EUR", "musical", "soft"),
        ("Tinkerby", "GBP", "clockwork", "miniature"), ("Bumbleroo", "USD", "squeaky", "clever"),
        ("Omocharu", "JPY", "magnetic", "collectible"),
    )
)  # fmt: skip


class Country(NamedTuple):
    """A country: `share` of the people, `offset` of its clocks from UTC in hours (no summer time).

    `given` holds the names of women, then those of men.
    """

    code: str
    share: float
    offset: int
    currency: str
    language: int
    cities: tuple[str, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]


COUNTRIES = tuple(
    Country(code, share, offset, currency, LANGUAGES.index(language),
            tuple(cities.split()), tuple(given.split()), tuple(family.split()))
    for code, share, offset, currency, language, cities, given, family in (
        ("US", 0.30, -5, "USD", "en", "Boston Atlanta Detroit Miami",
         "Avery Brielle Camila Delaney Emerson Callum Denzel Easton Graham Hudson",
         "Ashworthy Brindlecomb Calloway Dunnehill Everstone Farraday Goldthwait Hollisworth"),
        ("GB", 0.15, 0, "GBP", "en", "London Leeds Bristol Cardiff",
         "Imogen Poppy Beatrix Florence Harriet Alfie Barnaby Rupert Toby Wilfred",
         "Gatherly Applegarth Birkenshawe Cobblestead Dimmockson Entwhistle Fothergale Havers"),
        ("DE", 0.22, 1, "EUR", "de", "München Köln Hamburg Görlitz",
         "Jördis Käthe Mareike Svenja Änne Björn Jürgen Sönke Torben Uwe",
         "Müllerstein Grünbaumer Köstlinger Lindenfels Schäferding Tannhöfer Voßkamp Weißdorn"),
        ("FR", 0.12, 1, "EUR", "fr", "Paris Orléans Saint-Étienne Nîmes",
         "Élodie Maëlle Océane Solène Zoé Aurélien Benoît Étienne Loïc Rémi",
         "Beaurivage Châtelard Delacombe Fontenelle Grandpré Lefébure Montclair Roussillard"),
        ("CN", 0.14, 8, "CNY", "zh", "Shanghai Chengdu Wuhan Xiamen",
         "Meilin Xiaoyu Yanran Ruoxi Jiayi Haoran Junjie Weiming Zihan Yichen",
         "Ouyangli Zhugemin Simalan Huangfu Shangguan Murongde Linghu Duanmu"),
        ("JP", 0.07, 9, "JPY", "en", "Tokyo Osaka Sapporo Fukuoka",
         "Aoiko Hinari Midorika Sakuraba Yuzuka Daichiro Harutaka Kaitomo Renjiro Souma",
         "Asagirino Fujimorita Hoshikawara Kazamine Minazuki Shiratori Tsukigata Yamabukino"),
    )
)  # fmt: skip

HANDLES = (
    ("amber", "brisk", "calm", "dusty", "early", "fuzzy", "gentle", "hazel", "jolly", "quiet"),
    ("otter", "fern", "comet", "badger", "lark", "pebble", "walnut", "heron", "tulip", "wren"),
)
"""What the names in the social network are made of."""

# What people write around the words of an item: four openings, one link and three endings in each
# of `LANGUAGES`.
OPENINGS = (
    *("Just unpacked the ", "Really happy with my ", "Third weekend with the ", "I want a "),
    *("Gerade ausgepackt: ", "Sehr zufrieden mit ", "Schöne Überraschung: ", "Ich wünsche mir: "),
    *("Je viens de déballer: ", "Très contente: ", "Déjà trois semaines avec ", "À essayer: "),
    *("刚刚打开", "我很喜欢", "终于买到了", "朋友推荐的"),
)
FROM = (" from ", " von ", " de chez ", ",品牌是")
ENDINGS = (
    *("and it was worth the wait.", "and I would buy it again.", "but the box was dented."),
    *("würde ich wieder kaufen.", "leider später als erwartet.", "hält, was es verspricht."),
    *("je le rachèterais.", "hélas livré très tard.", "et ça dure depuis longtemps."),
    *("非常值得。", "下次还会买。", "就是有点贵。"),
)

"""Words in dates: months and days of the week in the large languages, months as they stand alone and beside a number;
halves of a day; and the signs that stand behind a number in Chinese, Japanese and Korean."""

from __future__ import annotations

import re
import unicodedata

_MONTHS = (
    """jan januar january januari enero janvier gennaio janeiro ene janv gen ianuarie ian gener januara
    styczen stycznia sty leden ledna led tammikuu tammikuuta tammi ocak oca январь января янв січень січня січ януари
    јануар јануара ιανουαριος ιανουαριου ιαν يناير जनवरी""",
    """feb februar february februari febrero fevrier febbraio fevereiro fev fevr febr februarie febrer februara
    luty lutego lut unor unora uno helmikuu helmikuuta helmi subat sub февраль февраля фев февр лютий лютого лют
    февруари фебруар фебруара φεβρουαριος φεβρουαριου φεβ فبراير फरवरी""",
    """mar marz maerz march marzo mars marco maart mrz mrt martie marc marcius marec maret mart
    marzec marca brezen brezna bre maaliskuu maaliskuuta maalis март марта мар березень березня бер
    μαρτιος μαρτιου μαρ مارس मार्च""",
    """apr april abril avril aprile abr avr aprilie aprilis aprila
    kwiecien kwietnia kwi duben dubna dub huhtikuu huhtikuuta huhti nisan nis апрель апреля апр квітень квітня квіт
    април απριλιος απριλιου απρ أبريل ابريل अप्रैल""",
    """may mai mayo maggio maio mei mag maj maja majus maig kveten kvetna kve toukokuu toukokuuta touko
    mayis май мая травень травня трав мај маја μαιος μαιου μαι مايو मई""",
    """jun juni june junio juin giugno junho giu iunie iun junius juny juna
    czerwiec czerwca cze cerven cervna cvn kesakuu kesakuuta kesa haziran haz июнь июня июн червень червня черв юни
    јун јуна ιουνιος ιουνιου ιουν يونيو जून""",
    """jul juli july julio juillet luglio julho juil lug iulie iul julius juliol jula
    lipiec lipca lip cervenec cervence cvc heinakuu heinakuuta heina temmuz tem июль июля июл липень липня лип юли
    јул јула ιουλιος ιουλιου ιουλ يوليو जुलाई""",
    """aug august agosto aout augustus ago augusti augusta augusztus agost agustus agu avgust avgusta
    sierpien sierpnia sie srpen srpna srp elokuu elokuuta elo agustos август августа авг серпень серпня серп
    αυγουστος αυγουστου αυγ أغسطس اغسطس अगस्त""",
    """sep september septiembre septembre settembre setembro sept set septembrie szeptember szept septembra setembre
    septembar wrzesien wrzesnia wrz zari zar syyskuu syyskuuta syys eylul eyl сентябрь сентября сен сент вересень
    вересня вер септември септембар σεπτεμβριος σεπτεμβριου σεπ سبتمبر सितंबर सितम्बर""",
    """oct oktober october octubre octobre ottobre outubro okt ott out octombrie oktobra oktobar
    pazdziernik pazdziernika paz rijen rijna rij lokakuu lokakuuta loka ekim eki октябрь октября окт жовтень жовтня жовт
    октомври октобар οκτωβριος οκτωβριου οκτ أكتوبر اكتوبر अक्टूबर अक्तूबर""",
    """nov november noviembre novembre novembro noiembrie novembra novembar
    listopad listopada listopadu lis marraskuu marraskuuta marras kasim kas ноябрь ноября ноя нояб листопад листопада
    лист ноември новембар νοεμβριος νοεμβριου νοε نوفمبر नवंबर नवम्बर""",
    """dec dezember december diciembre decembre dicembre dezembro dez dic decembrie desember des desembre decembra
    decembar grudzien grudnia gru prosinec prosince pro joulukuu joulukuuta joulu aralik ara декабрь декабря дек
    грудень грудня груд декември децембар δεκεμβριος δεκεμβριου δεκ ديسمبر दिसंबर दिसम्बर""",
)
_DAYS = """mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday thursday friday saturday sunday
    mo di mi do fr sa so montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag
    lun mar mer jeu ven sam dim lundi mardi mercredi jeudi vendredi samedi dimanche
    lunes martes miercoles jueves viernes sabado domingo lunedi martedi mercoledi giovedi venerdi
    segunda-feira terca-feira quarta-feira quinta-feira sexta-feira
    maandag dinsdag woensdag donderdag vrijdag zaterdag zondag mandag tirsdag onsdag torsdag fredag lordag sondag
    poniedzialek wtorek sroda czwartek piatek sobota niedziela pondeli utery streda ctvrtek patek nedele
    pazartesi sali carsamba persembe cuma cumartesi pazar
    понедельник вторник среда четверг пятница суббота воскресенье пн вт ср чт пт сб вс
    pon wt sr czw pt sob niedz ma wo vr za zo man tis ons tor fre lor son seg ter qua qui sex sab dom gio
    pzt sal car per cum cmt paz δευ τρι τετ πεμ παρ σαβ κυρ
    понеділок вівторок середа четвер пʼятниця субота неділя
    δευτερα τριτη τεταρτη πεμπτη παρασκευη σαββατο κυριακη"""
_FILL = "at um uhr de of del den le the on t @ h a klo kl г года год р року в о godz saat στις"
# Croatian calls October listopad, which is November in Polish and Czech, and so on.
CROATIAN = re.compile(r"\b(?:listopad\w*|lis|lip|srp)\b", re.IGNORECASE)
CROATIA = frozenset({"Europe/Zagreb"})

_DATE = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일号號]?")
_SPACED = re.compile(r"(?<!\d)(\d{4})\.\s?(\d{1,2})\.\s?(\d{1,2})\.?(?=\s|$)")
_TIME = re.compile(r"(\d{1,2})\s?[时時点點시](?:\s?(\d{1,2})\s?[分분](?:\s?(\d{1,2})\s?[秒초])?)?")
_DAY = re.compile(
    r"星期[一二三四五六日天]|[周週][一二三四五六日]|[月火水木金土日]曜日?|[월화수목금토일]요일"
    r"|\([月火水木金土日월화수목금토일一二三四五六]\)"
)
# As SAS and DB2 write it.
_JOINED = re.compile(r"(?<!\w)(\d{1,2})([^\W\d_]{3,})(\d{4}|\d{2})(?::|(?=\s|$))")
_DASHED = re.compile(r"(?<!\d)(\d{4}-\d\d-\d\d)-(\d\d)\.(\d\d)\.(\d\d)(?=\.\d|\s|$)")
_HALF = re.compile(
    r"(上午|凌晨|清晨|早上|午前|오전|(?<!\w)(?:π\.?\s?[μµ]|öö|ص)(?!\w)\.?)"
    r"|(?:下午|午後|오후|(?<!\w)(?:[μµ]\.?\s?[μµ]|ös|م)(?!\w)\.?)",
    re.IGNORECASE,
)


def folded(word: str) -> str:
    """A word without case, accents and the points of an abbreviation."""
    plain = word.strip(".,").casefold()
    if plain.isascii():
        return plain.rstrip(".")
    parts = unicodedata.normalize("NFD", plain)
    bare = "".join(part for part in parts if not unicodedata.combining(part))
    return bare.replace("ı", "i").replace("ł", "l").replace("ø", "o").rstrip(".")


MONTH = {folded(word): month for month, words in enumerate(_MONTHS, 1) for word in words.split()}
DAYS = frozenset(folded(word) for word in _DAYS.split())
FILL = frozenset(folded(word) for word in _FILL.split())


def in_digits(text: str) -> tuple[str, str]:
    """A text whose date and time stand in digits as far as signs and forms allow; and `a` or `p` where a word says so.

    Raises ValueError where a text has both halves of the day.
    """
    text = _SPACED.sub(r"\1-\2-\3 ", text)
    text = _DASHED.sub(r"\1 \2:\3:\4", _JOINED.sub(_apart, text))
    if text.isascii():
        return text, ""
    text = _DAY.sub(" ", _DATE.sub(r"\1-\2-\3 ", text))
    text = _TIME.sub(lambda at: ":".join((part or "0").zfill(2) for part in at.groups("0")), text)
    halves = {"a" if found[1] else "p" for found in _HALF.finditer(text)}
    if len(halves) > 1:
        raise ValueError("it has both halves of the day")
    return _HALF.sub(" ", text), next(iter(halves), "")


def _apart(found: re.Match[str]) -> str:
    return f"{found[1]}-{found[2]}-{found[3]} " if folded(found[2]) in MONTH else found[0]

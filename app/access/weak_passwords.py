"""Passwords that are guessed first, although they are long enough."""

import re

#: Words of which most guessed passwords are made, in lower case, without digits. The longest first: it may have others
#: in it.
_WORDS = sorted(
    """
    abc access admin administrator alexander always amanda amazon america amour andreas andrew angel anthony aout apple
    april arsenal asdfgh asdfghjkl ashley august automne autumn avril azerty azertyuiop baby banana barcelona baseball
    basketball batman bayern beautiful berlin bienvenue black blanc blessed bleu blue bonjour business butterfly
    camille canada champion change changeme charlie cheese chelsea cherry chicken chocolat chocolate chouchou christ
    christian coeur coffee company computer cookie corvette crystal daniel darling december decembre default demo
    deutschland dezember diamond dienstag dimanche dollar dolphin donnerstag dortmund doudou dragon eagle england
    facebook falcon family father februar february ferrari fevrier flower football forever france freedom freitag
    friday friend gamer gelb george ghost ginger golden golfer google green gruen guest hallo happy harley heart heaven
    hello herbst hiver hockey hollywood honey horse hunter iloveyou internet januar january janvier jaune jessica jesus
    jeudi jordan joshua juillet juin juli julien july june juni juventus killer king letmein liebe lightning lion
    liverpool login logon london loulou love lover lucky lundi madrid magic maman manager manchester march mardi marie
    mars marseille martin master matrix matthew maximilian mercedes mercredi michael microsoft minecraft mittwoch
    monday money monkey montag motdepasse mother mouse mustang mystery naruto nicolas nicole ninja noir nothing
    november novembre ocean october octobre office oktober operator orange orchestrator panther papa paris pass passw
    password passwort patrick peanut pepper phoenix pirate player pokemon porsche prince princess printemps private
    public purple queen qwerty qwertyuiop qwertz qwertzuiop rabbit rainbow ranger richard robert root rouge saga salut
    samedi samstag samsung saturday schatz schwarz sebastian secret security september septembre server service sexy
    shadow silver smile soccer soldier soleil something sommer sonne sonntag sophie spider spiderman spring starwars
    stefan steven sugar summer sunday sunshine superman support sweet system temp temporary tennis test tester thomas
    thunder thursday tiger toyota trustno tuesday turtle united user vendredi vert viewer warrior wednesday weiss
    welcome whatever white william willkommen windows winner winter wizard yamaha yellow zxcvbnm
    """.split(),  # noqa: SIM905  a list of strings would be five times as long
    key=len,
    reverse=True,
)
#: Signs that stand for a letter.
_LETTERS = str.maketrans("013457@$!", "oieastasi")
#: Fewest letters that must be left without the words above and the user's name, and fewest different characters.
_FEWEST_LETTERS, _FEWEST_DIFFERENT = 4, 6
#: What is no letter, and all of it before the first letter and behind the last one.
_OTHER, _ENDS = re.compile(r"[\W\d_]"), re.compile(r"^[\W\d_]+|[\W\d_]+$")
#: Four or more letters in the order of the alphabet.
_ALPHABET = re.compile("abcd|efgh|ijkl|mnop|qrst|uvwx|bcde|fghi|jklm|nopq|rstu|cdef|ghij|klmn|opqr|stuv|defg|hijk")
#: A text of up to four characters, several times.
_REPEATED = re.compile(r"(.{1,4})\1{2,}.{0,3}")


def is_weak(password: str, name: str) -> bool:
    """Return True for a password that is made of well-known words, the user's name, digits and repetitions."""
    plain = password.lower()
    if len(set(plain)) < _FEWEST_DIFFERENT or _REPEATED.fullmatch(plain):
        return True
    core = _OTHER.sub("", _ENDS.sub("", plain).translate(_LETTERS))
    for word in (_OTHER.sub("", name.lower()), *_WORDS):
        core = core.replace(word, " ") if word else core
    return len(_ALPHABET.sub("", core).replace(" ", "")) < _FEWEST_LETTERS

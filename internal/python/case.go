package python

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// longCases are the characters of which Unicode makes several in capitals (SpecialCasing.txt): each with its capitals and with its
// form at the beginning of a word.
const longCases = "ß SS Ss  ŉ ʼN ʼN  ǰ J\u030c J\u030c  ΐ Ι\u0308\u0301 Ι\u0308\u0301  ΰ Υ\u0308\u0301 Υ\u0308\u0301  և ԵՒ Եւ  " +
	"\u1e96 H\u0331 H\u0331  \u1e97 T\u0308 T\u0308  \u1e98 W\u030a W\u030a  \u1e99 Y\u030a Y\u030a  \u1e9a Aʾ Aʾ  " +
	"\u1f50 Υ\u0313 Υ\u0313  \u1f52 Υ\u0313\u0300 Υ\u0313\u0300  \u1f54 Υ\u0313\u0301 Υ\u0313\u0301  " +
	"\u1f56 Υ\u0313\u0342 Υ\u0313\u0342  \u1f80 \u1f08Ι \u1f88  \u1f81 \u1f09Ι \u1f89  \u1f82 \u1f0aΙ \u1f8a  " +
	"\u1f83 \u1f0bΙ \u1f8b  \u1f84 \u1f0cΙ \u1f8c  \u1f85 \u1f0dΙ \u1f8d  \u1f86 \u1f0eΙ \u1f8e  \u1f87 \u1f0fΙ \u1f8f  " +
	"\u1f88 \u1f08Ι \u1f88  \u1f89 \u1f09Ι \u1f89  \u1f8a \u1f0aΙ \u1f8a  \u1f8b \u1f0bΙ \u1f8b  \u1f8c \u1f0cΙ \u1f8c  " +
	"\u1f8d \u1f0dΙ \u1f8d  \u1f8e \u1f0eΙ \u1f8e  \u1f8f \u1f0fΙ \u1f8f  \u1f90 \u1f28Ι \u1f98  \u1f91 \u1f29Ι \u1f99  " +
	"\u1f92 \u1f2aΙ \u1f9a  \u1f93 \u1f2bΙ \u1f9b  \u1f94 \u1f2cΙ \u1f9c  \u1f95 \u1f2dΙ \u1f9d  \u1f96 \u1f2eΙ \u1f9e  " +
	"\u1f97 \u1f2fΙ \u1f9f  \u1f98 \u1f28Ι \u1f98  \u1f99 \u1f29Ι \u1f99  \u1f9a \u1f2aΙ \u1f9a  \u1f9b \u1f2bΙ \u1f9b  " +
	"\u1f9c \u1f2cΙ \u1f9c  \u1f9d \u1f2dΙ \u1f9d  \u1f9e \u1f2eΙ \u1f9e  \u1f9f \u1f2fΙ \u1f9f  \u1fa0 \u1f68Ι \u1fa8  " +
	"\u1fa1 \u1f69Ι \u1fa9  \u1fa2 \u1f6aΙ \u1faa  \u1fa3 \u1f6bΙ \u1fab  \u1fa4 \u1f6cΙ \u1fac  \u1fa5 \u1f6dΙ \u1fad  " +
	"\u1fa6 \u1f6eΙ \u1fae  \u1fa7 \u1f6fΙ \u1faf  \u1fa8 \u1f68Ι \u1fa8  \u1fa9 \u1f69Ι \u1fa9  \u1faa \u1f6aΙ \u1faa  " +
	"\u1fab \u1f6bΙ \u1fab  \u1fac \u1f6cΙ \u1fac  \u1fad \u1f6dΙ \u1fad  \u1fae \u1f6eΙ \u1fae  \u1faf \u1f6fΙ \u1faf  " +
	"\u1fb2 \u1fbaΙ \u1fba\u0345  \u1fb3 ΑΙ \u1fbc  \u1fb4 ΆΙ Ά\u0345  \u1fb6 Α\u0342 Α\u0342  " +
	"\u1fb7 Α\u0342Ι Α\u0342\u0345  \u1fbc ΑΙ \u1fbc  \u1fc2 \u1fcaΙ \u1fca\u0345  \u1fc3 ΗΙ \u1fcc  \u1fc4 ΉΙ Ή\u0345  " +
	"\u1fc6 Η\u0342 Η\u0342  \u1fc7 Η\u0342Ι Η\u0342\u0345  \u1fcc ΗΙ \u1fcc  \u1fd2 Ι\u0308\u0300 Ι\u0308\u0300  " +
	"\u1fd3 Ι\u0308\u0301 Ι\u0308\u0301  \u1fd6 Ι\u0342 Ι\u0342  \u1fd7 Ι\u0308\u0342 Ι\u0308\u0342  " +
	"\u1fe2 Υ\u0308\u0300 Υ\u0308\u0300  \u1fe3 Υ\u0308\u0301 Υ\u0308\u0301  \u1fe4 Ρ\u0313 Ρ\u0313  " +
	"\u1fe6 Υ\u0342 Υ\u0342  \u1fe7 Υ\u0308\u0342 Υ\u0308\u0342  \u1ff2 \u1ffaΙ \u1ffa\u0345  \u1ff3 ΩΙ \u1ffc  " +
	"\u1ff4 ΏΙ Ώ\u0345  \u1ff6 Ω\u0342 Ω\u0342  \u1ff7 Ω\u0342Ι Ω\u0342\u0345  \u1ffc ΩΙ \u1ffc  \ufb00 FF Ff  " +
	"\ufb01 FI Fi  \ufb02 FL Fl  \ufb03 FFI Ffi  \ufb04 FFL Ffl  \ufb05 ST St  \ufb06 ST St  \ufb13 ՄՆ Մն  \ufb14 ՄԵ Մե  " +
	"\ufb15 ՄԻ Մի  \ufb16 ՎՆ Վն  \ufb17 ՄԽ Մխ  "

type casing struct{ upper, title string }

var longCasings = sync.OnceValue(func() map[rune]casing {
	m := map[rune]casing{}
	words := strings.Fields(longCases)
	for i := 0; i < len(words); i += 3 {
		m[[]rune(words[i])[0]] = casing{words[i+1], words[i+2]}
	}
	return m
})

// Character is string(r) that allocates nothing for ASCII.
func Character(r rune) string {
	if r >= 0 && int(r) < len(ascii) {
		return ascii[r : r+1]
	}
	return string(r)
}

const ascii = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f" +
	"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f" +
	` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_` + "`abcdefghijklmnopqrstuvwxyz{|}~\x7f"

// UpperRune returns a character in capitals, which may be several.
func UpperRune(r rune) string {
	if r < utf8.RuneSelf {
		return Character(unicode.ToUpper(r))
	}
	if c, ok := longCasings()[r]; ok {
		return c.upper
	}
	return Character(unicode.ToUpper(r))
}

// TitleRune returns a character as it stands at the beginning of a word with a capital.
func TitleRune(r rune) string {
	if c, ok := longCasings()[r]; ok {
		return c.title
	}
	return Character(unicode.ToTitle(r))
}

// LowerRune returns a character in lower case, wherever it stands.
func LowerRune(r rune) string {
	if r == 'İ' {
		return "i\u0307"
	}
	return Character(unicode.ToLower(r))
}

// IsCased reports whether a character has a case, be it a letter or not.
func IsCased(r rune) bool {
	return IsUpper(r) || IsLower(r) || unicode.IsTitle(r)
}

// IsUpper reports whether a character is a capital, IsLower whether it is lower, be it a letter or not.
func IsUpper(r rune) bool { return unicode.IsUpper(r) || unicode.Is(unicode.Other_Uppercase, r) }
func IsLower(r rune) bool { return unicode.IsLower(r) || unicode.Is(unicode.Other_Lowercase, r) }

// Upper is str.upper.
func Upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	var b strings.Builder
	for _, r := range s {
		b.WriteString(UpperRune(r))
	}
	return b.String()
}

// Lower is str.lower.
func Lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	text := []rune(s)
	for i := range text {
		b.WriteString(LowerAt(text, i))
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// LowerAt returns character i of a text in lower case: a Σ at the end of a word becomes a ς.
func LowerAt(text []rune, i int) string {
	if text[i] == 'Σ' && ends(text, i) {
		return "ς"
	}
	return LowerRune(text[i])
}

// ends reports whether there are cased characters of a word before character i of a text, and none after it.
func ends(text []rune, i int) bool {
	before, after := i-1, i+1
	for before >= 0 && ignorable(text[before]) {
		before--
	}
	for after < len(text) && ignorable(text[after]) {
		after++
	}
	return before >= 0 && IsCased(text[before]) && !(after < len(text) && IsCased(text[after]))
}

// ignorable reports whether a character may stand inside of a word without being of it.
func ignorable(c rune) bool {
	return strings.ContainsRune("'.:^`·’․﹒．：", c) || unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}

// IsTitle is Python's str.istitle: capitals begin words, and only they do.
func IsTitle(s string) bool {
	some, inWord := false, false
	for _, c := range s {
		switch {
		case IsUpper(c) || unicode.IsTitle(c):
			if inWord {
				return false
			}
			some, inWord = true, true
		case IsLower(c):
			if !inWord {
				return false
			}
			some = true
		default:
			inWord = false
		}
	}
	return some
}

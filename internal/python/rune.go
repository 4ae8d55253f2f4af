// Package python has the rules of Python's str, int and float: which characters are space, digits or capitals, what text becomes in
// capitals, how strings and numbers are read and written. Chat templates are written against these rules.
package python

import (
	"strings"
	"unicode"
)

// IsSpace reports whether str.strip removes a character.
func IsSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// IsDigit reports whether a character is a digit, such as ², too, which is no part of a number; IsNumeric, whether it is any number.
func IsDigit(c rune) bool   { return unicode.IsDigit(c) || unicode.Is(superscripts, c) }
func IsNumeric(c rune) bool { return unicode.IsNumber(c) || strings.ContainsRune(ideographs, c) }

var superscripts = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0xb2, 0xb3, 1}, {0xb9, 0xb9, 1}, {0x1369, 0x1371, 1}, {0x19da, 0x19da, 1}, {0x2070, 0x2070, 1}, {0x2074, 0x2079, 1},
		{0x2080, 0x2089, 1}, {0x2460, 0x2468, 1}, {0x2474, 0x247c, 1}, {0x2488, 0x2490, 1}, {0x24ea, 0x24ea, 1}, {0x24f5, 0x24fd, 1},
		{0x24ff, 0x24ff, 1}, {0x2776, 0x277e, 1}, {0x2780, 0x2788, 1}, {0x278a, 0x2792, 1},
	},
	R32: []unicode.Range32{
		{0x10a40, 0x10a43, 1}, {0x10e60, 0x10e68, 1}, {0x11052, 0x1105a, 1}, {0x1f100, 0x1f10a, 1},
	},
}

// ideographs are the letters with a numeric value.
const ideographs = "\u3405\u3483\u382a\u3b4d一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零\uf96b\uf973\uf978\uf9b2\uf9d1" +
	"\uf9d3\uf9fd\U00020001\U00020064\U000200e2\U00020121\U0002092a\U00020983\U0002098c\U0002099c\U00020aea" +
	"\U00020afd\U00020b19\U00022390\U00022998\U00023b1b\U0002626d\U0002f890"

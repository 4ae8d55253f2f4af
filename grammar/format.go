package grammar

import "regexp/syntax"

// formats are those that are enforced, as expressions of whole strings: of each, the common part of what it allows. Others say nothing.
var formats = map[string]string{
	"date":      date,
	"time":      clock,
	"date-time": "(?:" + date + ")T" + clock,
	"duration": `P(?:\d{1,4}W|` +
		`(?:\d{1,4}Y(?:\d{1,4}M(?:\d{1,4}D)?)?|\d{1,4}M(?:\d{1,4}D)?|\d{1,4}D)(?:` + hours + `)?|` + hours + `)`,
	"uuid":     `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"email":    email,
	"hostname": host,
	"ipv4":     ipv4,
	"ipv6": `(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|` +
		`::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,5})?|[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,4}::(?:[0-9a-f]{1,4})?`,
	"uri":                   uri,
	"uri-reference":         ref,
	"uri-template":          ref,
	"iri":                   uri,
	"iri-reference":         ref,
	"idn-email":             email,
	"idn-hostname":          host,
	"relative-json-pointer": `(?:0|[1-9][0-9]{0,4})(?:#|(?:/(?:[^~/]|~[01])*)*)`,
	"json-pointer":          `(?:/(?:[^~/]|~[01])*)*`,
}

const (
	year  = `[0-9]{4}`
	days  = `(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))`
	leap  = `(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29`
	date  = year + "-" + days + "|" + leap
	clock = `(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])`
	hours = `T(?:\d{1,4}H(?:\d{1,4}M(?:\d{1,4}S)?)?|\d{1,4}M(?:\d{1,4}S)?|\d{1,4}S)`
	label = `[A-Za-z0-9](?:[A-Za-z0-9-]{0,18}[A-Za-z0-9])?`
	email = `[A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,15}){0,2}@` + host
	host  = label + `(?:\.` + label + `){0,4}\.[A-Za-z]{2,10}`
	ipv4  = `(?:` + octet + `\.){3}` + octet
	octet = `(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`
	uri   = `[a-z][a-z0-9+-]{0,15}:(?://` + host + `(?::[1-9][0-9]{0,3})?(?:/` + path + `)?|` + `[A-Za-z0-9]` + path + `)`
	ref   = `(?:/?[A-Za-z0-9._~-](?:[A-Za-z0-9._~!$&'()*+,;=@/-]|%[0-9A-Fa-f]{2})*)?`
	path  = `(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*`
)

// format returns the contents of a known format.
func (c *compiler) format(name string) (*expr, bool) {
	if e, ok := c.formats[name]; ok {
		return e, true
	}
	text, ok := formats[name]
	if !ok {
		return nil, false
	}
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		panic("grammar: format " + name + ": " + err.Error())
	}
	e, err := pattern{c.arena, c.char}.whole(re, true, true)
	if err != nil {
		panic("grammar: format " + name + ": " + err.Error())
	}
	c.formats[name] = e
	return e, true
}

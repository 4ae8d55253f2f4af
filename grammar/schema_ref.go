package grammar

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// findAnchors notes the schemas that have names of their own, by their whole URIs.
func (c *compiler) findAnchors() {
	c.anchors = map[string]*value{}
	var visit func(v *value, base *url.URL)
	visit = func(v *value, base *url.URL) {
		if v.kind == '{' {
			for _, key := range []string{"$id", "id"} {
				if id := v.get(key); id != nil && id.kind == '"' && (key == "$id" || c.old) {
					if u, err := base.Parse(id.text); err == nil {
						base = u
						c.anchors[strings.TrimSuffix(u.String(), "#")] = v
					}
				}
			}
			for _, key := range []string{"$anchor", "$dynamicAnchor"} {
				if a := v.get(key); a != nil && a.kind == '"' {
					u := *base
					u.Fragment = a.text
					c.anchors[u.String()] = v
				}
			}
		}
		for i, x := range v.list {
			if v.kind == '{' && (v.names[i] == "enum" || v.names[i] == "const") {
				continue
			}
			visit(x, base)
		}
	}
	visit(c.root, new(url.URL))
}

// base returns the nearest schema around s that has a URI of its own, and that URI.
func (c *compiler) base(s *value) (*value, *url.URL) {
	var ids []string
	at := c.root
	found := false
	for v := s; v != nil; v = v.parent {
		for _, key := range []string{"$id", "id"} {
			if id := v.get(key); id != nil && id.kind == '"' && (key == "$id" || c.old) && !(c.old && v.get("$ref") != nil) {
				ids = append(ids, id.text)
				if !found && !strings.HasPrefix(id.text, "#") {
					at, found = v, true
				}
			}
		}
	}
	u := new(url.URL)
	for i := len(ids) - 1; i >= 0; i-- {
		if next, err := u.Parse(ids[i]); err == nil {
			next.Fragment = ""
			u = next
		}
	}
	return at, u
}

// resolve returns the schema that a $ref of s is about.
func (c *compiler) resolve(s, ref *value) (*value, error) {
	if ref.kind != '"' {
		return nil, &keywordError{"$ref", s.pointer(), "expected a string", errInvalid}
	}
	at, base := c.base(s)
	fail := func(why string) (*value, error) {
		return nil, &keywordError{"$ref", s.pointer(), fmt.Sprintf("%.100q %s", ref.text, why), ErrUnsupported}
	}
	u, err := base.Parse(ref.text)
	if err != nil {
		return fail("is no reference")
	}
	if to, ok := c.anchors[u.String()]; ok {
		return to, nil
	}
	fragment := u.Fragment
	u.Fragment, u.RawFragment = "", ""
	if document := u.String(); document != base.String() || strings.HasPrefix(document, "#") {
		to, ok := c.anchors[document]
		if !ok {
			return fail("is in another document")
		}
		at = to
	}
	if fragment == "" {
		return at, nil
	}
	if fragment[0] != '/' {
		return fail("is not in this schema")
	}
	to, err := at.find(fragment)
	if err != nil && at != c.root {
		to, err = c.root.find(fragment)
	}
	if err != nil {
		return fail("is not in this schema")
	}
	return to, nil
}

// find follows a JSON pointer.
func (v *value) find(pointer string) (*value, error) {
	for part := range strings.SplitSeq(pointer[1:], "/") {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		var next *value
		if v.kind == '[' {
			if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(v.list) {
				next = v.list[i]
			}
		} else {
			next = v.get(part)
		}
		if next == nil {
			return nil, errors.New("nothing there")
		}
		v = next
	}
	return v, nil
}

// Package jinja runs the chat templates of models: programs by strangers, in the language of Jinja 3 as the transformers library
// sets it up (an immutable sandbox, trim_blocks, lstrip_blocks, loop controls, its own tojson).
//
// [Parse] reads a template, [Template.Run] runs it with variables. The files follow its way: the lexer cuts a template into tokens, the
// parser finds the tags and their bodies, expression.go reads the expressions in them, and all become closures over values (value.go)
// in scopes (sandbox.go).
//
// # The language
//
// Statements: if, for (with else, an if of its own, recursive, break and continue), set with one or several targets and as a
// block, macro with defaults, varargs and kwargs, call, filter, with, raw, and generation, which is its body. Expressions are those
// of Jinja. Filters, tests, functions and the methods of strings, lists and dicts are listed in filter.go, predicate.go, global.go
// and method.go; what is not there is an error that names it. Text, numbers and their formats are Python's, with integers of 64
// bits: one that does not fit is an error. A number that came as JSON keeps the form in which it was written.
//
// Of Jinja's own it lacks what is of no use in a prompt: the filters for HTML and chance (striptags, urlize, xmlattr, wordwrap, random),
// lipsum, autoescape, casefold, translate, encode, keys that are tuples, pprint of more than a line, and the text of functions and loops.
// These are errors. Known to differ without one: safe leaves no trace for escape to see, a slice of a range prints as a list, and there
// is no self. testdata/jinja.json holds what Jinja itself makes of thousands of snippets, and where that is an error here.
//
// # What it refuses
//
// A template makes text of its variables and the clock, and nothing else. include, import, from, extends and block are errors
// ([ErrRefused]), and so is raise_exception, with which a template refuses a conversation. There are no attributes of Python's
// objects, and nothing that changes a value but a namespace. A lexer and a parser that do not recurse deeper than their bounds, and
// limits of a run in steps, memory, depth and text, counted before anything is done, make an [ErrLimit] of whatever is too much.
// A run ends when its context does. No template makes a panic.
//
// # Marks
//
// Text of the variables is literal: what looks like markup in it must be read as text, where the same characters of the template are
// markup. Run tells them apart by marks: runes that stand for those that are traced while they come from variables (marks.go).
package jinja

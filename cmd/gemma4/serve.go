package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/server"
)

func serveCommand() cli.Command {
	return cli.Command{
		Name:  "serve",
		Group: "answers",
		Does:  "answer over HTTP: OpenAI's, Anthropic's and ollama's clients, and a page to chat on",
		Args:  "[flags]",
		About: `
Answers requests over HTTP until it is interrupted: first it refuses new ones and lets the running answers end.`,
		Examples: `
gemma4 serve
gemma4 serve -m gemma-4-E2B-it-Q4_K_M.gguf -addr 127.0.0.1:8080`,
		Define: defineServe,
	}
}

func defineServe(p *cli.Program) func() error {
	model := p.ModelFlags()
	p.Group("server")
	addr := p.String("addr", "127.0.0.1:8080", "`address` to listen on")
	var o server.Options

	return func() error {
		m, err := model.Open()
		if err != nil {
			return err
		}
		defer m.Close()
		s, err := server.New(m, o)
		if err != nil {
			return err
		}
		defer s.Close()
		l, err := net.Listen("tcp", *addr)
		if err != nil {
			return err
		}
		ctx, stop := cli.Interruptible()
		defer stop()
		h := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
		ended := make(chan error, 1)
		go func() { ended <- h.Serve(l) }()
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return errors.Join(s.Shutdown(ctx), h.Shutdown(ctx))
	}
}

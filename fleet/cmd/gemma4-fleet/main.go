// Command gemma4-fleet has many machines answer for one, by way of NATS.
//
//	gemma4-fleet gateway                                          on the machine that clients ask; it is the NATS server, too
//	gemma4-fleet worker -nats nats://gateway:4222 -m model.gguf   on each board
//
// With -nats alone a gateway uses a NATS server of yours instead. Who may connect to NATS, and that nobody listens, is its business:
// -nats-config is the configuration of the one in the gateway (https://docs.nats.io/running-a-nats-service/configuration), and -creds,
// -nkey, -tls-ca, -tls-cert, -tls-key, or nats://USER:PASSWORD@HOST:PORT are what its clients may need:
//
//	host: 0.0.0.0
//	tls { cert_file: server.pem, key_file: server-key.pem }
//	jetstream { store_dir: /var/lib/gemma4-fleet }
//	authorization { users: [ { nkey: U… } ] }
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/fleet"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/server"
	broker "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// link is the connection to NATS, and what both ends of the queue have to agree on.
type link struct {
	*flag.FlagSet
	url, creds, nkey, ca, cert, key, model string
	drain                                  time.Duration
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] != "worker" && args[0] != "gateway" {
		return errors.New("gemma4-fleet: expected worker or gateway; -h after either lists its flags")
	}
	l := &link{FlagSet: flag.NewFlagSet("gemma4-fleet "+args[0], flag.ExitOnError)}
	l.StringVar(&l.url, "nats", "", "`URL` of the NATS servers, with commas between several")
	l.StringVar(&l.creds, "creds", "", "`file` with a JWT and its key for NATS")
	l.StringVar(&l.nkey, "nkey", "", "`file` with the seed of an nkey for NATS")
	l.StringVar(&l.ca, "tls-ca", "", "`file` with the certificates that NATS servers are checked by")
	l.StringVar(&l.cert, "tls-cert", "", "`file` with a certificate to show to NATS")
	l.StringVar(&l.key, "tls-key", "", "`file` with its key")
	l.StringVar(&l.model, "model", "gemma4", "`name` of the model, by which gateways find workers, and answers call it")
	l.DurationVar(&l.drain, "drain", time.Minute, "`time` that running answers have at the end")
	if args[0] == "worker" {
		return l.worker(ctx, args[1:])
	}
	return l.gateway(ctx, args[1:])
}

func (l *link) dial(url string) (*nats.Conn, error) {
	o := []nats.Option{nats.Name(l.Name()), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true)}
	if l.creds != "" {
		o = append(o, nats.UserCredentials(l.creds))
	}
	if l.nkey != "" {
		seed, err := nats.NkeyOptionFromSeed(l.nkey)
		if err != nil {
			return nil, err
		}
		o = append(o, seed)
	}
	if l.ca != "" {
		o = append(o, nats.RootCAs(l.ca))
	}
	if l.cert != "" {
		o = append(o, nats.ClientCert(l.cert, l.key))
	}
	return nats.Connect(url, o...)
}

// worker answers requests with a model of this machine.
func (l *link) worker(ctx context.Context, args []string) error {
	file := l.String("m", "", "`file` of the model; none: nano")
	slots := l.Int("slots", 4, "`answers` written at once")
	l.Parse(args)
	open := nano.Open
	if *file != "" {
		open = func() (*gemma4.Model, error) { return gemma4.Open(*file) }
	}
	m, err := open()
	if err != nil {
		return err
	}
	defer m.Close()
	s, err := server.New(m, server.Options{Names: []string{l.model}, Queue: gemma4.QueueOptions{Slots: *slots}})
	if err != nil {
		return err
	}
	defer s.Close()
	conn, err := l.dial(cmp.Or(l.url, nats.DefaultURL))
	if err != nil {
		return err
	}
	defer conn.Close()
	for !conn.IsConnected() { // NATS may start later than its workers
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
	w := fleet.Worker{Conn: conn, Handler: s, Model: l.model, Slots: *slots, Drain: l.drain, Log: slog.Default()}
	return w.Run(ctx)
}

// gateway answers over HTTP by way of the workers.
func (l *link) gateway(ctx context.Context, args []string) error {
	addr := l.String("addr", "127.0.0.1:8080", "`HOST:PORT` to listen on")
	config := l.String("nats-config", "", "`file` with the configuration of the NATS server in here (default: for this machine only)")
	keyFile := l.String("key-file", "", "`file` with API keys, one a line, one of which a request must bring")
	open := l.Bool("open", false, "let everybody who reaches the address ask, without a key")
	var o server.Options
	list := func(to *[]string) func(string) error {
		return func(s string) error { *to = append(*to, s); return nil }
	}
	l.Func("host", "`name` that clients may reach the gateway by; may be repeated", list(&o.Hosts))
	l.Func("origin", "`origin` of web pages that may ask; may be repeated", list(&o.Origins))
	l.Parse(args)
	if *keyFile != "" {
		f, err := os.Open(*keyFile)
		if err != nil {
			return err
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if key := strings.TrimSpace(lines.Text()); key != "" && key[0] != '#' {
				o.Keys = append(o.Keys, key)
			}
		}
		if len(o.Keys) == 0 {
			return fmt.Errorf("gemma4-fleet: %s holds no key: one is expected in each line", *keyFile)
		}
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	if a := listener.Addr().(*net.TCPAddr); !a.IP.IsLoopback() && len(o.Keys) == 0 && !*open {
		return fmt.Errorf("gemma4-fleet: %s can be reached from elsewhere: give -key-file, or -open to let everybody ask", a)
	}
	url := l.url
	if url == "" || *config != "" {
		embedded, err := embed(*config)
		if err != nil {
			return err
		}
		defer embedded.Shutdown()
		url = cmp.Or(url, embedded.ClientURL())
		slog.Info("NATS listens", "url", embedded.ClientURL())
	}
	conn, err := l.dial(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	g := &fleet.Gateway{Conn: conn, Model: l.model}
	h := &http.Server{
		Handler: server.Guard(o, g), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(listener) }()
	slog.Info("gateway listens", "addr", listener.Addr(), "model", l.model)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	g.Drain()
	end, cancel := context.WithTimeout(context.Background(), l.drain)
	defer cancel()
	return h.Shutdown(end)
}

// embed starts a NATS server in this process.
func embed(config string) (*broker.Server, error) {
	o := &broker.Options{Host: "127.0.0.1", Port: broker.DEFAULT_PORT}
	if config != "" {
		var err error
		if o, err = broker.ProcessConfigFile(config); err != nil {
			return nil, err
		}
	}
	o.JetStream, o.NoSigs = true, true
	s, err := broker.NewServer(o)
	if err != nil {
		return nil, err
	}
	s.ConfigureLogger()
	go s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return nil, errors.New("gemma4-fleet: the NATS server does not start")
	}
	return s, nil
}

// Vault-test runs a real HashiCorp Vault core for the tests of crypto/keystore:
// one process, storage in memory, unsealed, TLS on a free port of 127.0.0.1,
// the transit secrets engine and the AppRole login and nothing else.
//
//	vault-test FOLDER
//
// It writes what a client needs into FOLDER, prints the address once it
// answers, and runs until its standard input ends (so it dies with whoever
// started it) or a signal comes:
//
//	address   https://127.0.0.1:PORT
//	ca.pem    the authority behind the server's certificate
//	token     the root token, mode 0600
//	unseal    the only unseal key in base64, mode 0600
//
// The Vault server is licensed under BUSL-1.1. It is a test tool in a module
// of its own: the product never imports, links or ships it.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: vault-test FOLDER")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder string) error {
	cert, ca, err := certificate()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := "https://" + listener.Addr().String()
	vault, err := open(ctx, address)
	if err != nil {
		return err
	}
	if err := publish(folder, address, ca, vault); err != nil {
		return err
	}
	server := &http.Server{
		Handler:           vault.handler,
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	fmt.Println(address)
	select {
	case err := <-failed:
		return err
	case <-ended:
	case <-ctx.Done():
	}
	return server.Close()
}

// publish writes what a client needs; a folder in use is overwritten.
func publish(folder, address string, ca []byte, vault *opened) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	return errors.Join(
		root.WriteFile("address", []byte(address+"\n"), 0o644),
		root.WriteFile("ca.pem", ca, 0o644),
		root.WriteFile("token", []byte(vault.token+"\n"), 0o600),
		root.WriteFile("unseal", []byte(vault.unseal+"\n"), 0o600))
}

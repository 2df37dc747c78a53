import Daemon
import HTTPService

extension Command {
  private static let listen = OptionSpec(
    name: "listen", value: "URI",
    summary: "where NBD clients connect: nbd://HOST:PORT or "
      + "nbd+unix:///?socket=PATH", isRepeatable: true)
  private static let config = OptionSpec(
    name: "config", value: "FILE",
    summary: "the configuration file; without it, DIR/gnomon.json5 if it exists")
  private static let reactors = OptionSpec(
    name: "reactors", value: "N", summary: "threads that serve requests; 0: by the number of cores")
  private static let logLevel = OptionSpec(
    name: "log-level", value: "LEVEL", summary: "debug, info, warning or error")
  private static let apiListen = OptionSpec(
    name: "api-listen", value: "ADDRESS",
    summary: "where the control API is served: unix:PATH or "
      + "http://127.0.0.1:PORT", isRepeatable: true)
  private static let readOnly = OptionSpec(
    name: "read-only", value: "NAME", summary: "export this volume read-only", isRepeatable: true)
  private static let without = OptionSpec(
    name: "without", value: "STORE", summary: "do without this store, which is missing or broken",
    isRepeatable: true)

  /// `gnomon serve`
  static let serve = Command(
    spec: CommandSpec(
      path: ["serve"], summary: "Serve a pool's volumes to NBD clients, in the foreground",
      options: [.pool, listen, config, reactors, logLevel, apiListen, readOnly, without],
      details: [
        "Each volume is exported under its name, an only volume also as the default export. Logs go to "
          + "stderr. SIGTERM and SIGINT finish what is in flight, flush and end with status 0.",
        "A store whose server can not be reached is used as soon as it can be. A file or device that can "
          + "not be opened is an error; --without serves what has other copies, and what has none fails. The "
          + "store gets what it has missed when it is served with again.",
        "Options replace what the configuration file says; docs/configuration.md has every key.",
      ],
      examples: [
        .init(text: "Serve on a unix socket in the pool's folder", line: "gnomon serve --pool /srv/pool"),
        .init(
          text: "Serve on TCP", line: "gnomon serve --pool /srv/pool --listen nbd://127.0.0.1:10809"),
        .init(
          text: "Serve on a unix socket elsewhere, and say more in the log",
          line:
            "gnomon serve --pool /srv/pool --listen 'nbd+unix:///?socket=/run/gnomon.sock' "
            + "--log-level debug"),
        .init(
          text: "Serve although the disk of one store is broken",
          line: "gnomon serve --pool /srv/pool --without hdd1"),
      ])
  ) { run in
    let directory = try run.poolDirectory()
    var overrides = ConfigurationOverrides()
    overrides.listen = run.arguments.values(listen)
    overrides.reactors = run.arguments.value(reactors)
    overrides.logLevel = run.arguments.value(logLevel)
    overrides.apiListen = run.arguments.values(apiListen)
    overrides.readOnly = run.arguments.values(readOnly)
    let file = run.arguments.value(config).map { AbsolutePath.of($0, from: run.context.workingDirectory) }
    let configuration = try Configuration.resolve(directory: directory, file: file, overrides: overrides)
    let code = try run.context.offline.serve(
      ServeOptions(
        directory: directory, configuration: configuration, absentStores: run.arguments.values(without)))
    return ExitStatus(rawValue: code) ?? .failure
  }
}

// swift-tools-version: 6.2
import PackageDescription

// Every target is compiled with the same settings: Swift 6 language mode, strict memory safety,
// warnings as errors, and the upcoming features that make imports and existentials explicit.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  // Deliberate bugs and failpoints exist in debug builds only: what is released pays nothing for them.
  .define("FAULT_INJECTION", .when(configuration: .debug)),
]

/// One layer of the house; `imports` names the layers below that it may use.
func layer(_ name: String, _ imports: [String]) -> Target {
  .target(name: name, dependencies: imports.map { .byName(name: $0) })
}

/// What only tests and developers link. It may look through the layers: its imports of C libraries do not
/// count.
func harness(_ name: String, _ imports: [String]) -> Target {
  .target(name: name, dependencies: imports.map { .byName(name: $0) })
}

func tests(_ name: String, _ imports: [String]) -> Target {
  .testTarget(name: name + "Tests", dependencies: imports.map { .byName(name: $0) })
}

let package = Package(
  name: "gnomon",
  targets: [
    // C libraries: one system-library target each, imported by exactly one layer.
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CURing", pkgConfig: "liburing"),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3"),
    .systemLibrary(name: "CMicroHTTPD", pkgConfig: "libmicrohttpd"),
    .systemLibrary(name: "CISAL", pkgConfig: "libisal"),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib"),

    // The layers, bottom up. Imports point down only.
    layer("Primitives", []),
    layer("Platform", ["CISAL", "CLinux", "Primitives"]),
    layer("Measurement", ["Primitives"]),
    layer("Ring", ["CURing", "Platform", "Primitives"]),
    layer("NBDWire", ["Primitives"]),
    layer("ExtentMap", ["Platform", "Primitives"]),
    layer("Catalog", ["CSQLite", "ExtentMap", "Platform", "Primitives"]),
    layer("Stores", ["Catalog", "ExtentMap", "NBDWire", "Platform", "Primitives"]),
    layer("Redirection", ["Stores", "ExtentMap", "NBDWire", "Measurement", "Platform", "Primitives"]),
    layer("Forecasting", []),
    layer("Health", ["Forecasting", "Measurement", "Primitives"]),
    layer("Shadowing", ["Redirection", "Forecasting", "ExtentMap", "Measurement", "Primitives"]),
    layer("Replay", ["CZlib", "Shadowing", "Forecasting", "Primitives"]),
    layer(
      "NBDService",
      ["Redirection", "Stores", "ExtentMap", "NBDWire", "Ring", "Measurement", "Platform", "Primitives"]),
    layer("HTTPService", ["CMicroHTTPD", "NBDWire", "Platform", "Primitives"]),
    layer(
      "Daemon",
      [
        "HTTPService", "NBDService", "Shadowing", "Forecasting", "Health", "NBDWire", "Redirection", "Stores",
        "Catalog", "ExtentMap", "Measurement", "Platform", "Primitives",
      ]),
    .executableTarget(
      name: "gnomon",
      dependencies: ["Daemon", "HTTPService", "Replay", "Stores", "Platform", "Primitives"]),

    // The whole core in virtual time: for tests and for whoever works on Gnomon, never part of it.
    harness(
      "Simulation",
      [
        "CSQLite", "Shadowing", "Redirection", "Stores", "Catalog", "ExtentMap", "NBDWire", "Platform",
        "Primitives",
      ]),
    .executableTarget(name: "gnomon-sim", dependencies: ["Simulation", "Platform", "Primitives"]),

    tests("Primitives", ["Primitives"]),
    tests("Platform", ["TestSupport", "Platform", "Primitives"]),
    tests("Measurement", ["Measurement", "Primitives"]),
    tests("Forecasting", ["Forecasting", "Primitives"]),
    tests("Health", ["Health", "Forecasting", "Measurement", "Primitives"]),
    tests("Ring", ["TestSupport", "Ring", "CURing", "Platform", "Primitives"]),
    tests("NBDWire", ["NBDWire", "Primitives"]),
    tests("ExtentMap", ["TestSupport", "ExtentMap", "Platform", "Primitives"]),
    tests("Catalog", ["Catalog", "ExtentMap", "Platform", "Primitives"]),
    tests("Stores", ["Stores", "Catalog", "ExtentMap", "Platform", "Primitives"]),
    tests(
      "Redirection",
      [
        "TestSupport", "Simulation", "Shadowing", "Redirection", "ExtentMap", "NBDWire", "Measurement",
        "Platform", "Primitives",
      ]),
    tests(
      "Shadowing", ["Shadowing", "Forecasting", "Measurement", "Redirection", "ExtentMap", "Primitives"]),
    tests("Replay", ["TestSupport", "Replay", "CZlib", "Shadowing", "Forecasting", "Primitives"]),
    tests("Simulation", ["Simulation", "gnomon-sim", "NBDWire", "Platform", "Primitives"]),
    .target(
      name: "TestSupport", dependencies: ["HTTPService", "Platform", "Primitives"], path: "Tests/TestSupport"),
    tests(
      "NBDService",
      [
        "TestSupport", "NBDService", "Redirection", "Stores", "ExtentMap", "NBDWire", "Platform",
        "Primitives",
      ]),
    tests("HTTPService", ["TestSupport", "HTTPService", "Platform", "Primitives"]),
    tests(
      "CommandLine", ["TestSupport", "gnomon", "Daemon", "HTTPService", "Stores", "Platform", "Primitives"]),
    tests(
      "Daemon",
      [
        "TestSupport", "Daemon", "HTTPService", "Shadowing", "Forecasting", "Health", "Redirection", "Stores",
        "ExtentMap", "Measurement", "Platform", "Primitives",
      ]),
    tests("Tidy", []),

    // What fuzzing runs, and the replay of its corpus.
    .target(
      name: "FuzzTargets",
      dependencies: ["Daemon", "HTTPService", "Health", "Measurement", "NBDWire", "Platform", "Primitives"],
      path: "Fuzz/Targets"),
    tests("Fuzz", ["FuzzTargets"]),
  ]
)

// libFuzzer brings its own main function and wants every target instrumented: only `make fuzz` builds it.
if Context.environment["GNOMON_FUZZ"] == "1" {
  package.targets.append(
    .executableTarget(name: "gnomon-fuzz", dependencies: ["FuzzTargets"], path: "Fuzz/Driver"))
}

for target in package.targets where target.type != .system {
  target.swiftSettings = settings
}

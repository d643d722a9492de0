/** The parts of packages that drawing uses. They are no dependencies here: `packages.ts` installs them. */

declare module "react" {
  export interface ReactElement {
    readonly props: object;
  }
  export type Props = Readonly<Record<string, unknown>>;
  export type Component = (props: Props) => ReactElement | null;
  type Child = ReactElement | string | null;
  export function createElement(
    type: Component | string,
    props: Props | null,
    ...children: readonly (Child | readonly Child[] | ((width: number, height: number) => Child))[]
  ): ReactElement;
}

declare module "react-dom/client" {
  import type { ReactElement } from "react";
  export function createRoot(element: object): { render(element: ReactElement): void };
}

declare module "@grafana/i18n" {
  export function initPluginTranslations(id: string): Promise<unknown>;
}

declare module "@grafana/data" {
  import type { Component } from "react";
  export interface Theme {
    readonly colors: {
      readonly background: { readonly canvas: string };
      readonly text: { readonly primary: string; readonly secondary: string };
    };
    readonly typography: { readonly fontFamily: string };
  }
  export interface DataFrame {
    readonly fields: readonly { readonly type: string; readonly values: readonly unknown[] }[];
  }
  export interface FieldConfigSource {
    readonly defaults: Readonly<Record<string, unknown>>;
    readonly overrides: readonly unknown[];
  }
  export interface FieldDisplay {
    readonly display: object;
    readonly sparkline?: object;
  }
  interface Sight {
    readonly fieldConfig: FieldConfigSource;
    readonly data: readonly DataFrame[];
    readonly replaceVariables: (text: string) => string;
    readonly theme: Theme;
    readonly timeZone: string;
  }
  export const ThemeContext: { readonly Provider: Component };
  export const FieldConfigOptionsRegistry: new (init: () => readonly object[]) => object;
  export const standardTransformers: Readonly<Record<string, { readonly id: string; readonly name: string }>>;
  export const standardTransformersRegistry: { setInit(init: () => readonly object[]): void };
  export function createTheme(options: { readonly colors: { readonly mode: "dark" | "light" } }): Theme;
  export function cacheFieldDisplayNames(frames: readonly DataFrame[]): void;
  export function dateTime(ms: number): { format(pattern: string): string };
  export function toDataFrame(plain: object): DataFrame;
  export function applyFieldOverrides(options: Sight & { readonly fieldConfigRegistry: object }): DataFrame[];
  export function identityOverrideProcessor(value: unknown): unknown;
  export function transformDataFrame(
    transformations: readonly unknown[],
    frames: readonly DataFrame[],
  ): { subscribe(next: (frames: DataFrame[]) => void): unknown };
  export function getFieldDisplayValues(
    options: Sight & { readonly reduceOptions: unknown; readonly sparkline: boolean },
  ): FieldDisplay[];
  export function getDisplayValueAlignmentFactors(values: readonly object[]): object;
}

declare module "@grafana/ui" {
  import type { Component } from "react";
  export const GlobalStyles: Component;
  export const PanelChrome: Component;
  export const TimeSeries: Component;
  export const BigValue: Component;
  export const VizRepeater: Component;
}

declare module "@grafana/ui/unstable" {
  import type { Component } from "react";
  export const TableNG: Component;
}
